// A peer may send the authorities between its certificate and one that is known here. Node takes them out of OpenSSL's hands when it is
// first asked for the peer's certificate, and 24.21 and 26.8 ask themselves, before anybody else can (nodejs/node#65579): the
// certificate that we are given afterwards stands alone. So the first answer is kept until it is asked for a second time.
//
// None of it is documented, so what is used is looked for first; where it is missing nothing is changed.

import { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

type TlsHandle = { getPeerX509Certificate?: (this: object) => object | undefined };

let isDone = false;

/** Once for the process; does nothing when it is asked again. */
export function keepPeerChains(): void {
  if (isDone) return;
  isDone = true;
  const methods = handleMethods();
  const original = methods?.getPeerX509Certificate;
  if (methods === undefined || original === undefined) return;
  const kept = new WeakMap<object, object>();
  methods.getPeerX509Certificate = function (this: object): object | undefined {
    const first = kept.get(this);
    if (first !== undefined) {
      // Held no longer than it is needed: there may be a hundred thousand connections.
      kept.delete(this);
      return first;
    }
    const found = original.call(this);
    if (found !== undefined) kept.set(this, found);
    return found;
  };
}

function handleMethods(): TlsHandle | undefined {
  const nowhere = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const socket = new TLSSocket(nowhere, { isServer: true });
  const handle = (socket as { readonly _handle?: object | null })._handle;
  socket.destroy();
  if (handle === undefined || handle === null) return undefined;
  return Object.getPrototypeOf(handle) as TlsHandle;
}
