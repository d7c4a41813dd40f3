// CoAP by Californium, DTLS by its Scandium. Arguments: host, plain port, secure port, PSK identity, PSK key in hexadecimal, PEM files (CA,
// certificate, key), a unique name, a text that names of checks must contain. Prints "ok NAME", "fail NAME: WHY"; then @end.

import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapHandler;
import org.eclipse.californium.core.CoapObserveRelation;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.DtlsEndpointContext;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.util.SslContextUtil;
import org.eclipse.californium.elements.util.StringUtil;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticNewAdvancedCertificateVerifier;

public class CaliforniumChecks {
  interface Check {
    void run(CoapEndpoint endpoint, String base) throws Exception;
  }

  interface Opening {
    CoapEndpoint open() throws Exception;
  }

  static final int MIB = 1024 * 1024;
  static String unique;
  static String only;
  static String[] given;

  static Configuration configuration() {
    CoapConfig.register();
    DtlsConfig.register();
    Configuration configuration = new Configuration();
    configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 2 * MIB);
    configuration.set(CoapConfig.PREFERRED_BLOCK_SIZE, 1024);
    configuration.set(CoapConfig.MAX_MESSAGE_SIZE, 1024);
    configuration.set(DtlsConfig.DTLS_ROLE, DtlsConfig.DtlsRole.CLIENT_ONLY);
    configuration.set(DtlsConfig.DTLS_AUTO_HANDSHAKE_TIMEOUT, null, TimeUnit.SECONDS);
    return configuration;
  }

  static CoapEndpoint plain() {
    return CoapEndpoint.builder().setConfiguration(configuration()).build();
  }

  static CoapEndpoint dtls(DtlsConnectorConfig.Builder builder, Configuration configuration) {
    return CoapEndpoint.builder().setConfiguration(configuration).setConnector(new DTLSConnector(builder.build())).build();
  }

  static CoapEndpoint byKey(CipherSuite suite, Integer connectionIdBytes) {
    Configuration configuration = configuration();
    configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, connectionIdBytes);
    configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
    configuration.set(DtlsConfig.DTLS_CIPHER_SUITES, List.of(suite));
    DtlsConnectorConfig.Builder builder = DtlsConnectorConfig.builder(configuration);
    builder.setAdvancedPskStore(new AdvancedSinglePskStore(given[3], StringUtil.hex2ByteArray(given[4])));
    return dtls(builder, configuration);
  }

  static CoapEndpoint byCertificate(CipherSuite suite, Integer connectionIdBytes) throws Exception {
    Configuration configuration = configuration();
    configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, connectionIdBytes);
    configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
    configuration.set(DtlsConfig.DTLS_CIPHER_SUITES, List.of(suite));
    DtlsConnectorConfig.Builder builder = DtlsConnectorConfig.builder(configuration);
    X509Certificate[] trusted = SslContextUtil.asX509Certificates(SslContextUtil.loadTrustedCertificates(given[5]));
    PrivateKey key = SslContextUtil.loadPrivateKey(given[7], null, null, null);
    X509Certificate[] chain = SslContextUtil.loadCertificateChain(given[6], null, null);
    builder.setCertificateIdentityProvider(new SingleCertificateProvider(key, chain, CertificateType.X_509));
    builder.setAdvancedCertificateVerifier(StaticNewAdvancedCertificateVerifier.builder().setTrustedCertificates(trusted).build());
    return dtls(builder, configuration);
  }

  static CoapClient client(CoapEndpoint endpoint, String uri) {
    CoapClient client = new CoapClient(uri);
    client.setEndpoint(endpoint);
    client.setTimeout(30_000L);
    return client;
  }

  static CoapResponse expect(CoapResponse response, ResponseCode code) {
    if (response == null) throw new RuntimeException("no response");
    if (response.getCode() != code) throw new RuntimeException("expected " + code + ", got " + response.getCode() + " " + response.getResponseText());
    return response;
  }

  static void keeps(CoapEndpoint endpoint, String base) throws Exception {
    CoapClient client = client(endpoint, base + "/value");
    expect(client.put("one", 0), ResponseCode.CREATED);
    expect(client.put("two", 0), ResponseCode.CHANGED);
    if (!expect(client.get(), ResponseCode.CONTENT).getResponseText().equals("two")) throw new RuntimeException("another value");
    expect(client.post("three", 0), ResponseCode.CHANGED);
    expect(client.delete(), ResponseCode.DELETED);
    expect(client.get(), ResponseCode.NOT_FOUND);
  }

  static void carries(CoapEndpoint endpoint, String base) throws Exception {
    byte[] payload = new byte[MIB];
    new Random(1).nextBytes(payload);
    CoapClient client = client(endpoint, base + "/large");
    expect(client.put(payload, 42), ResponseCode.CREATED);
    if (!Arrays.equals(payload, expect(client.get(), ResponseCode.CONTENT).getPayload())) throw new RuntimeException("it is not what was sent");
  }

  static void observes(CoapEndpoint endpoint, String base) throws Exception {
    CoapClient client = client(endpoint, base + "/observed");
    for (int bytes : new int[] {5, 5000}) {
      BlockingQueue<String> seen = new LinkedBlockingQueue<>();
      client.put("a".repeat(bytes), 0);
      CoapObserveRelation relation = client.observe(new CoapHandler() {
        public void onLoad(CoapResponse response) {
          seen.add(response.getResponseText());
        }

        public void onError() {
          seen.add("error");
        }
      });
      for (String letter : new String[] {"a", "b", "c"}) {
        if (!letter.equals("a")) client.put(letter.repeat(bytes), 0);
        String value = seen.poll(10, TimeUnit.SECONDS);
        if (!letter.repeat(bytes).equals(value)) throw new RuntimeException("expected " + letter + "…, got " + value);
      }
      relation.proactiveCancel();
    }
  }

  /** Between device and broker; may come to a new port of its own, as devices behind a NAT do. */
  static class Nat extends Thread {
    final DatagramSocket inside = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    final InetSocketAddress server;
    volatile DatagramSocket outside = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    volatile InetSocketAddress device;

    Nat(int port) throws Exception {
      server = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
      setDaemon(true);
      start();
      back(outside);
    }

    void rebind() throws Exception {
      DatagramSocket before = outside;
      outside = new DatagramSocket(0, InetAddress.getLoopbackAddress());
      back(outside);
      before.close();
    }

    void back(DatagramSocket socket) {
      Thread thread = new Thread(() -> carry(socket, inside, null));
      thread.setDaemon(true);
      thread.start();
    }

    public void run() {
      carry(inside, null, server);
    }

    void carry(DatagramSocket from, DatagramSocket to, InetSocketAddress address) {
      try {
        for (;;) {
          DatagramPacket packet = new DatagramPacket(new byte[2048], 2048);
          from.receive(packet);
          if (address != null) device = (InetSocketAddress) packet.getSocketAddress();
          packet.setSocketAddress(address != null ? address : device);
          (to != null ? to : outside).send(packet);
        }
      } catch (java.io.IOException closed) {
        // It has another port now.
      }
    }
  }

  static void moves(CoapEndpoint endpoint, String name) throws Exception {
    Nat nat = new Nat(Integer.parseInt(given[2]));
    CoapClient client = client(endpoint, "coaps://127.0.0.1:" + nat.inside.getLocalPort() + "/t/" + name + "/moved");
    String session = null;
    for (int i = 0; i < 4; i++) {
      CoapResponse response = client.put("at port " + i, 0);
      expect(response, i == 0 ? ResponseCode.CREATED : ResponseCode.CHANGED);
      EndpointContext context = response.advanced().getSourceContext();
      String now = context.get(DtlsEndpointContext.KEY_SESSION_ID) + " " + context.get(DtlsEndpointContext.KEY_HANDSHAKE_TIMESTAMP);
      if (context.get(DtlsEndpointContext.KEY_WRITE_CONNECTION_ID) == null) throw new RuntimeException("no Connection ID");
      if (session != null && !session.equals(now)) throw new RuntimeException("another handshake");
      session = now;
      nat.rebind();
    }
    nat.inside.close();
  }

  static void check(String name, Opening opening, String base, Check check) {
    String label = "Californium: " + name;
    if (!label.contains(only)) return;
    CoapEndpoint endpoint = null;
    try {
      endpoint = opening.open();
      endpoint.start();
      check.run(endpoint, base + "/t/" + unique + "/" + name.replaceAll("[^A-Za-z0-9]", "-"));
      System.out.println("ok " + label);
    } catch (Throwable error) {
      System.out.println("fail " + label + ": " + String.valueOf(error).replace('\n', ' '));
    } finally {
      if (endpoint != null) endpoint.destroy();
    }
  }

  public static void main(String[] arguments) {
    given = arguments;
    unique = arguments[8];
    only = arguments[9];
    String udp = "coap://127.0.0.1:" + arguments[1];
    String dtls = "coaps://localhost:" + arguments[2];
    check("put, get, post, delete", CaliforniumChecks::plain, udp, CaliforniumChecks::keeps);
    check("observes, small and large", CaliforniumChecks::plain, udp, CaliforniumChecks::observes);
    check("1 MiB up and down", CaliforniumChecks::plain, udp, CaliforniumChecks::carries);
    for (CipherSuite suite : new CipherSuite[] {
      CipherSuite.TLS_PSK_WITH_AES_128_CCM_8, CipherSuite.TLS_PSK_WITH_AES_128_GCM_SHA256, CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256,
      CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
    }) {
      check("DTLS by " + suite, () -> byKey(suite, null), dtls, CaliforniumChecks::keeps);
    }
    for (CipherSuite suite : new CipherSuite[] {
      CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    }) {
      check("DTLS by " + suite, () -> byCertificate(suite, null), dtls, CaliforniumChecks::keeps);
    }
    CipherSuite ccm8 = CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8;
    check("observes over DTLS", () -> byCertificate(ccm8, null), dtls, CaliforniumChecks::observes);
    check("1 MiB over DTLS with a Connection ID", () -> byCertificate(ccm8, 4), dtls, CaliforniumChecks::carries);
    check("moves to other ports by its Connection ID, pre-shared key", () -> byKey(CipherSuite.TLS_PSK_WITH_AES_128_CCM_8, 4), "",
      (endpoint, base) -> moves(endpoint, unique + "/psk"));
    check("moves to other ports by its Connection ID, certificate", () -> byCertificate(ccm8, 4), "",
      (endpoint, base) -> moves(endpoint, unique + "/certificate"));
    check("moves to other ports, with an empty Connection ID of its own", () -> byKey(CipherSuite.TLS_PSK_WITH_AES_128_CCM_8, 0), "",
      (endpoint, base) -> moves(endpoint, unique + "/empty"));
    System.out.println("@end");
    System.exit(0);
  }
}
