// A NAT that forgets: once the handshake is over, each datagram of the client leaves by another port.

import { createSocket, type Socket } from 'node:dgram';

export type RebindingProxy = { readonly port: number; close(): void };

/** For one client. */
export async function startRebindingProxy(serverPort: number): Promise<RebindingProxy> {
  const inner = createSocket('udp4');
  const outer: Socket[] = [];
  let clientPort = 0;
  const newOuter = (): Socket => {
    const socket = createSocket('udp4');
    socket.on('message', (datagram) => inner.send(datagram, clientPort, '127.0.0.1'));
    outer.push(socket);
    return socket;
  };
  inner.on('message', (datagram, from) => {
    clientPort = from.port;
    // Data of DTLS with a Connection ID: type 25, in a datagram of its own.
    const socket = datagram[0] === 25 || outer.length === 0 ? newOuter() : outer.at(-1)!;
    socket.send(datagram, serverPort, '127.0.0.1');
  });
  await new Promise<void>((resolve) => {
    inner.bind(0, '127.0.0.1', resolve);
  });
  return {
    port: inner.address().port,
    close: () => {
      for (const socket of [inner, ...outer]) socket.close();
    },
  };
}
