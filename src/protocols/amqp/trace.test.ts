import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolId } from './codec/index.ts';
import { Dialogue } from './testing/dialogue.ts';
import { begin, dataMessage, emptyFrame, frame, header, open, sasl, senderAttach, transfer } from './testing/peer-frames.ts';
import type { Trace } from '../trace.ts';
import { frameInWords } from './trace.ts';

class Recorder implements Trace {
  version = 1;
  readonly peers = new Set<string>();
  readonly lines: string[] = [];
  asked = 0;

  wants(clientId: string): boolean {
    this.asked++;
    return this.peers.has(clientId);
  }

  packet(clientId: string, direction: 'in' | 'out', words: string): void {
    this.lines.push(`${clientId} ${direction} ${words}`);
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

/** The words for a whole frame. */
function words(bytes: Uint8Array): string {
  return frameInWords(bytes[5]!, (bytes[6]! << 8) | bytes[7]!, bytes, bytes[4]! * 4, bytes.length);
}

test('frames in words', () => {
  assert.equal(words(emptyFrame()), 'empty frame');
  assert.equal(words(transfer(7, 'x'.repeat(64))), 'ch=0 transfer handle=0 delivery-id=7 delivery-tag=0x7437 message-format=0 69 bytes');
  assert.equal(
    words(frame(3, senderAttach())),
    'ch=3 attach name="link" handle=0 role="sender" source=source() target=target(address="a") initial-delivery-count=0',
  );
  const error = { type: 'error', condition: 'amqp:internal-error', description: 'x'.repeat(300) } as const;
  assert.equal(
    words(frame(0, { type: 'close', error })),
    `ch=0 close error=error(condition="amqp:internal-error" description="${'x'.repeat(200)}…")`,
  );
  assert.equal(
    words(frame(0, { type: 'disposition', role: 'receiver', first: 1, last: 3, settled: true, state: { type: 'accepted' } })),
    'ch=0 disposition role="receiver" first=1 last=3 settled=true state=accepted()',
  );
  const broken = frame(0, open).slice(0, 12);
  assert.match(words(broken), /^ch=0 \(amqp:decode-error: .*\) 4 bytes$/);
});

test('nothing of what proves who a peer is is shown', () => {
  const secret = 'correct-horse';
  const bytes = Buffer.from(`\0ann\0${secret}`);
  for (const one of [
    sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: bytes }),
    sasl({ type: 'sasl-response', response: bytes }),
    sasl({ type: 'sasl-challenge', challenge: bytes }),
    sasl({ type: 'sasl-outcome', code: 0, additionalData: bytes }),
    frame(0, { type: 'transfer', handle: 0, deliveryId: 0, deliveryTag: Buffer.from('t') }, dataMessage(secret)),
  ]) {
    const shown = words(one);
    assert.ok(!shown.includes(secret) && !shown.includes(Buffer.from(secret).toString('hex')), shown);
  }
  assert.equal(words(sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: bytes })), 'sasl-init PLAIN 18 bytes');
  assert.equal(words(sasl({ type: 'sasl-mechanisms', saslServerMechanisms: ['A', 'B'] })), 'sasl-mechanisms A B');
});

test('a peer that somebody follows is shown, both ways, from its open on', () => {
  const trace = new Recorder();
  trace.peers.add('peer');
  const dialogue = new Dialogue({ trace, accepts: ['password'] });
  const init = sasl({ type: 'sasl-init', mechanism: 'PLAIN', initialResponse: Buffer.from('\0ann\0secret') });
  dialogue.send(
    header(ProtocolId.sasl),
    init,
    header(),
    frame(0, open),
    frame(0, begin),
    frame(0, senderAttach()),
    transfer(0, 'x'),
    emptyFrame(),
  );
  const kinds = trace.take().map((line) => line.split(' ', 4).join(' '));
  assert.deepEqual(kinds, [
    'peer in ch=0 open',
    'peer out ch=0 open',
    'peer in ch=0 begin',
    'peer out ch=0 begin',
    'peer in ch=0 attach',
    'peer out ch=0 attach',
    'peer out ch=0 flow',
    'peer in ch=0 transfer',
    'peer out ch=0 disposition',
  ]);
});

test('nobody is shown whom nobody follows, and that costs one question', () => {
  const trace = new Recorder();
  const dialogue = Dialogue.sending({}, { trace });
  const { asked } = trace;
  for (let id = 0; id < 50; id++) dialogue.send(transfer(id, 'x'));
  assert.equal(trace.asked, asked);
  assert.deepEqual(trace.take(), []);
  trace.peers.add('peer');
  trace.version++;
  dialogue.send(transfer(50, 'x'));
  assert.equal(trace.take().length, 2);
});
