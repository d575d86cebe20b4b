// SPDX-License-Identifier: MIT
// TlsClient.java URL CERTIFICATE COUNT: HttpsURLConnection, each request on a connection of its own. Prints status and body of each.
import java.io.InputStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class TlsClient {
    static SSLContext trusting(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (InputStream pem = Files.newInputStream(Path.of(file))) {
            store.setCertificateEntry("pipit", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    public static void main(String[] args) throws Exception {
        System.setProperty("http.keepAlive", "false");
        SSLContext context = trusting(args[1]);
        for (int i = 0; i < Integer.parseInt(args[2]); i++) {
            HttpsURLConnection connection = (HttpsURLConnection) new URL(args[0]).openConnection();
            connection.setSSLSocketFactory(context.getSocketFactory());
            try (InputStream content = connection.getInputStream()) {
                System.out.println(connection.getResponseCode() + " " + new String(content.readAllBytes(), StandardCharsets.UTF_8));
            }
        }
    }
}
