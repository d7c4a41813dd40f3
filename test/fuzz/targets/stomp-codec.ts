// Any stream of bytes into the reader of STOMP's frames. The first byte of an input says which version and how the stream is cut; the
// rest is the stream.

import assert from 'node:assert/strict';
import {
  encodeFrame,
  type Frame,
  FrameReader,
  type Header,
  StompFault,
  versions,
  type Version,
} from '../../../src/protocols/stomp/codec/index.ts';
import { toNeutral } from '../../../src/protocols/stomp/convert.ts';
import { stompStreams, stompWords } from '../stomp-seeds.ts';
import type { Target } from '../target.ts';

const limits = { maxHeadBytes: 512, maxHeaders: 16, maxBodyBytes: 1024 };

type Read = { readonly frames: { command: string; headers: readonly Header[]; body: Buffer }[]; readonly fault: string | undefined };

function read(stream: Uint8Array, version: Version, pieceBytes: number): Read {
  const reader = new FrameReader(limits);
  reader.version = version;
  const frames: Read['frames'] = [];
  const sink = {
    frame({ command, headers, buffer, start, end }: Frame): boolean {
      frames.push({ command, headers, body: Buffer.from(buffer.subarray(start, end)) });
      return true;
    },
  };
  for (let at = 0; at < stream.length; at += pieceBytes) {
    // Bytes after the end of a piece must not matter: a piece is a copy of its own.
    const fault = reader.push(stream.slice(at, at + pieceBytes), sink);
    if (fault !== undefined) {
      assert.ok(fault.message.length > 0 && fault.message.length < 100 && fault.details.length < 200);
      return { frames, fault: fault.message };
    }
    assert.ok(reader.keptBytes <= Math.max(limits.maxHeadBytes, limits.maxBodyBytes), 'more memory is held than a frame may have');
  }
  return { frames, fault: undefined };
}

function run(input: Uint8Array): readonly string[] {
  const [first = 0] = input;
  const version = versions[first % 3]!;
  const stream = input.subarray(1);
  const whole = read(stream, version, Math.max(1, stream.length));
  const cut = read(stream, version, 1 + ((first >> 2) % 13));
  assert.deepEqual(cut, whole, 'what is read depends on how the stream is cut');
  const seen = whole.fault === undefined ? [] : [whole.fault];
  for (const { command, headers, body } of whole.frames) {
    assert.ok(headers.length <= limits.maxHeaders && body.length <= limits.maxBodyBytes);
    const fields = toNeutral(headers);
    const known = /^[A-Z]+$/.test(command) && command.length < 12 ? 'a command' : 'another';
    seen.push(
      fields instanceof StompFault ? 'bad header' : `${known} ${fields.guarantee} ${fields.retain} ${fields.attributes === undefined}`,
    );
    // What was read, written and read again is the same, if it is what escaping can say.
    if (version !== '1.2' || !/^[A-Z]+$/.test(command)) continue;
    const bare = headers.filter(([name]) => name !== 'content-length');
    const plain = command === 'CONNECT' || command === 'STOMP' || command === 'CONNECTED';
    if (plain) continue;
    const again = encodeFrame(command, [...bare, ['content-length', String(body.length)]], body);
    if (again.length > limits.maxHeadBytes) continue;
    const [back] = read(again, version, again.length).frames;
    if (back === undefined) continue;
    assert.deepEqual([back.command, back.headers.slice(0, -1), back.body], [command, bare, body], 'not the same after being written');
  }
  return seen;
}

export const target: Target = {
  name: 'stomp-codec',
  properties: [
    'nothing throws, whatever comes',
    'frames and faults do not depend on how the stream is cut',
    'no more memory is held than a frame may have',
    'what was read, written and read again is the same',
  ],
  covers: /\/src\/protocols\/stomp\/(codec|convert)/,
  maxBytes: 4096,
  slowMs: 200,
  seeds: stompStreams().map((bytes) => Uint8Array.of(2, ...bytes)),
  dictionary: stompWords,
  run,
};
