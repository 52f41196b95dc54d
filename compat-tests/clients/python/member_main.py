"""A member in a process of its own, to be killed: prints `joined` once it has partitions, then polls until it dies.

usage: member_main.py ADDRESS GROUP TOPIC
"""

import sys

from members import Member

member = Member(*sys.argv[1:3], [sys.argv[3]], session_timeout_ms=6000, heartbeat_interval_ms=500)
told = False
while True:
    member.poll()
    if member.owned and not told:
        print("joined", flush=True)
        told = True
