// Does Java agree with the authority? Validates the chain of a device (PKIX, RFC 5280), then shakes hands with the broker in both
// directions. Run as a single file: java ChainCheck.java FOLDER HOST PORT

import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public class ChainCheck {
  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    List<X509Certificate> chain = read(factory, folder.resolve("chain.crt"));
    List<X509Certificate> roots = read(factory, folder.resolve("ca.crt"));

    PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(roots.get(0), null)));
    parameters.setRevocationEnabled(false);
    CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(chain), parameters);
    if (!chain.get(0).getExtendedKeyUsage().contains("1.3.6.1.5.5.7.3.2")) throw new Exception("not for clients");

    byte[] key = Files.readAllBytes(folder.resolve("device.der"));
    char[] none = new char[0];
    KeyStore own = KeyStore.getInstance("PKCS12");
    own.load(null, null);
    var privateKey = KeyFactory.getInstance(chain.get(0).getPublicKey().getAlgorithm()).generatePrivate(new PKCS8EncodedKeySpec(key));
    own.setKeyEntry("device", privateKey, none, chain.toArray(new X509Certificate[0]));
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    for (X509Certificate root : roots) trusted.setCertificateEntry(root.getSerialNumber().toString(), root);

    KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
    keys.init(own, none);
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(arguments[1], Integer.parseInt(arguments[2]))) {
      var wanted = socket.getSSLParameters();
      wanted.setEndpointIdentificationAlgorithm("HTTPS");
      socket.setSSLParameters(wanted);
      socket.startHandshake();
      // MQTT 3.1.1 CONNECT, clean, client id "java": only an answer shows that the certificate was taken.
      socket.getOutputStream().write(new byte[] {0x10, 0x10, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 4, 'j', 'a', 'v', 'a'});
      byte[] answer = socket.getInputStream().readNBytes(4);
      if (answer.length != 4 || answer[0] != 0x20 || answer[3] != 0) throw new Exception("CONNECT was refused");
      System.out.println("path valid; " + socket.getSession().getProtocol());
    }
  }

  private static List<X509Certificate> read(CertificateFactory factory, Path file) throws Exception {
    List<X509Certificate> found = new ArrayList<>();
    for (var each : factory.generateCertificates(new ByteArrayInputStream(Files.readAllBytes(file)))) found.add((X509Certificate) each);
    return found;
  }
}
