"""A broker of a case's own, which can be killed, and the HTTP calls that make volumes in it."""

import functools
import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

from cases import WAIT_S, case

ADDRESSES = re.compile(r"Kafka on (\S+:\d+) and HTTP on http://(\S+:\d+)")
BINARY = os.environ.get("MILLPOND_BIN")
if not BINARY:
    print("MILLPOND_BIN names no broker: volumes are not tested", flush=True)


def volume_case(function):
    """Adds a function that takes a Millpond of its own."""

    @functools.wraps(function)
    def with_millpond(_address):
        millpond = Millpond()
        try:
            function(millpond)
        finally:
            millpond.close()

    return case(with_millpond) if BINARY else function


class Millpond:
    """The broker that MILLPOND_BIN names, on free ports and with a directory of its own."""

    def __init__(self):
        self.data, self.kafka, self.http = tempfile.mkdtemp(prefix="millpond-py-"), "127.0.0.1:0", "127.0.0.1:0"
        self.launch()

    def launch(self):
        where = ["--data", self.data, "--kafka", self.kafka, "--http", self.http]
        quick = ["--set", "groups.initial_rebalance_delay_ms=100ms"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen([BINARY, "serve", *where, *quick], **pipes)
        for line in self.process.stdout:
            if found := ADDRESSES.search(line):
                self.kafka, self.http = found.groups()
                return
        raise AssertionError("the broker ended without having printed its addresses")

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def restart(self):
        """Kills it and starts it again on the same data and addresses."""
        self.kill()
        self.launch()

    def close(self):
        self.kill()
        shutil.rmtree(self.data)

    def call(self, method, path, **body):
        """Asks over HTTP, which must succeed; the answer."""
        connection = http.client.HTTPConnection(self.http, timeout=WAIT_S)
        connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status < 300, f"{method} {path}: {response.status} {text}"
        return json.loads(text) if text else None

    def volume(self, name, partitions):
        """A volume with stream taq and in it the topic trades."""
        self.call("POST", "/v1/volumes", name=name)
        self.call("POST", f"/v1/volumes/{name}/streams", name="taq")
        self.call("POST", "/v1/topics", name=f"{name}.taq.trades", partitions=partitions)

    def snapshot(self, volume, name):
        self.call("POST", f"/v1/volumes/{volume}/snapshots", name=name)

    def snapshots(self, volume, prefix, count):
        """As many snapshots, named prefix and number, several being made at once."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.snapshot(volume, f"{prefix}{number}"), range(count)))

    def delete_snapshot(self, volume, name):
        self.call("DELETE", f"/v1/volumes/{volume}/snapshots/{name}")

    def restore(self, volume, snapshot):
        """Takes a volume back; the name of the snapshot that undoes it."""
        return self.call("POST", f"/v1/volumes/{volume}/restore", snapshot=snapshot)["name"]

    def clone(self, source, name):
        self.call("POST", "/v1/clones", **{"from": source, "name": name})

    def listen(self, shows, address="127.0.0.1:0"):
        """Shows a volume or a snapshot at an address, or at any free one."""
        return self.call("POST", "/v1/listeners", address=address, shows=shows)["address"]
