// SPDX-License-Identifier: MIT
// HttpClientUpload.java URL METHOD BYTES length|chunked COUNT [NAME=VALUE]...: java.net.http.HttpClient.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

public class HttpClientUpload {
    public static void main(String[] args) {
        byte[] content = new byte[Integer.parseInt(args[2])];
        for (int i = 0; i < Integer.parseInt(args[4]); i++) {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(args[0])).timeout(Duration.ofMinutes(1));
            request.method(args[1], args[3].equals("chunked")
                    ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(content))
                    : BodyPublishers.ofByteArray(content));
            for (int j = 5; j < args.length; j++)
                request.header(args[j].split("=", 2)[0], args[j].split("=", 2)[1]);
            try {
                HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
                System.out.println(client.send(request.build(), BodyHandlers.ofByteArray()).statusCode());
            } catch (Exception error) {
                System.out.println(error);
            }
        }
    }
}
