package millpond.compat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** A broker of a case's own, which can be killed, and the HTTP calls that make volumes in it. */
final class Millpond implements AutoCloseable {
    static final String BINARY = System.getenv().getOrDefault("MILLPOND_BIN", "");
    private static final Pattern ADDRESSES = Pattern.compile("Kafka on (\\S+:\\d+) and HTTP on http://(\\S+:\\d+)");

    String kafka = "127.0.0.1:0";
    private String http = "127.0.0.1:0";
    private final Path data = Files.createTempDirectory("millpond-java-");
    private final HttpClient client = HttpClient.newHttpClient();
    private Process process;

    /** Starts the broker that MILLPOND_BIN names, on free ports and with a directory of its own. */
    Millpond() throws IOException {
        launch();
    }

    private void launch() throws IOException {
        process = new ProcessBuilder(BINARY, "serve", "--data", data.toString(), "--kafka", kafka, "--http", http,
            "--set", "groups.initial_rebalance_delay_ms=100ms").redirectError(ProcessBuilder.Redirect.DISCARD).start();
        var output = process.inputReader();
        for (String line = output.readLine(); line != null; line = output.readLine()) {
            var found = ADDRESSES.matcher(line);
            if (found.find()) {
                kafka = found.group(1);
                http = found.group(2);
                return;
            }
        }
        throw new IOException("the broker ended without having printed its addresses");
    }

    /** kill -9, then a start on the same data and addresses. */
    void restart() throws Exception {
        process.destroyForcibly().waitFor();
        launch();
    }

    @Override
    public void close() throws Exception {
        process.destroyForcibly().waitFor();
        try (var files = Files.walk(data)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    /** Asks over HTTP, which must succeed; the answer. A body is JSON with ' for ". */
    String call(String method, String path, String body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create("http://" + http + path)).timeout(Check.LIMIT)
            .header("content-type", "application/json").method(method, BodyPublishers.ofString(body.replace('\'', '"')));
        var response = client.send(request.build(), BodyHandlers.ofString());
        Check.that(response.statusCode() < 300, method + " " + path + ": " + response.statusCode() + " " + response.body());
        return response.body();
    }

    /** A field of an answer that is text. */
    private static String field(String answer, String name) {
        var found = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(answer);
        Check.that(found.find(), answer);
        return found.group(1);
    }

    /** A volume with stream taq and in it the topic trades. */
    void volume(String name, int partitions) throws Exception {
        call("POST", "/v1/volumes", "{'name': '" + name + "'}");
        call("POST", "/v1/volumes/" + name + "/streams", "{'name': 'taq'}");
        call("POST", "/v1/topics", "{'name': '" + name + ".taq.trades', 'partitions': " + partitions + "}");
    }

    void snapshot(String volume, String name) throws Exception {
        call("POST", "/v1/volumes/" + volume + "/snapshots", "{'name': '" + name + "'}");
    }

    void deleteSnapshot(String volume, String name) throws Exception {
        call("DELETE", "/v1/volumes/" + volume + "/snapshots/" + name, "");
    }

    /** Takes a volume back; the name of the snapshot that undoes it. */
    String restore(String volume, String snapshot) throws Exception {
        return field(call("POST", "/v1/volumes/" + volume + "/restore", "{'snapshot': '" + snapshot + "'}"), "name");
    }

    void clone(String from, String name) throws Exception {
        call("POST", "/v1/clones", "{'from': '" + from + "', 'name': '" + name + "'}");
    }

    /** Shows a volume or a snapshot at an address; port 0 is any free one. */
    String listen(String address, String shows) throws Exception {
        return field(call("POST", "/v1/listeners", "{'address': '" + address + "', 'shows': '" + shows + "'}"), "address");
    }

    String listen(String shows) throws Exception {
        return listen("127.0.0.1:0", shows);
    }

    /** As many snapshots, named prefix and number, several being made at once. */
    void snapshots(String volume, String prefix, int count) {
        IntStream.range(0, count).parallel().forEach(number -> {
            try {
                snapshot(volume, prefix + number);
            } catch (Exception exception) {
                throw new AssertionError(exception);
            }
        });
    }
}
