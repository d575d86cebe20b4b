// SPDX-License-Identifier: MIT
// UrlConnectionUpload.java URL METHOD BYTES length|chunked COUNT [NAME=VALUE]...: java.net.HttpURLConnection.
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;

public class UrlConnectionUpload {
    static int upload(String[] args, byte[] content) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) URI.create(args[0]).toURL().openConnection();
        connection.setRequestMethod(args[1]);
        connection.setDoOutput(true);
        connection.setReadTimeout(60000);
        if (args[3].equals("chunked"))
            connection.setChunkedStreamingMode(8192);
        else
            connection.setFixedLengthStreamingMode(content.length);
        for (int i = 5; i < args.length; i++)
            connection.setRequestProperty(args[i].split("=", 2)[0], args[i].split("=", 2)[1]);
        try (OutputStream output = connection.getOutputStream()) {
            output.write(content);
        }
        return connection.getResponseCode();
    }

    public static void main(String[] args) {
        byte[] content = new byte[Integer.parseInt(args[2])];
        for (int i = 0; i < Integer.parseInt(args[4]); i++) {
            try {
                System.out.println(upload(args, content));
            } catch (Exception error) {
                System.out.println(error);
            }
        }
    }
}
