import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeConnack } from './encode.ts';
import { packetName, PacketType } from './packets.ts';
import { connectReturnCode, ReasonCode, reasonOfReturnCode, reasonText } from './reason-codes.ts';
import { written } from './testing/written.ts';

describe('reason codes', () => {
  it('have the words of their name', () => {
    const words = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
    for (const [name, code] of Object.entries(ReasonCode)) assert.equal(words(reasonText(code)), words(name));
    assert.equal(reasonText(0x42), 'Unknown reason 0x42');
  });

  it('become the return codes of 3.1.1 and come back', () => {
    for (let code = 0; code <= 5; code++) assert.equal(connectReturnCode(reasonOfReturnCode(code)!), code);
    assert.equal(reasonOfReturnCode(6), undefined);
  });

  it('without a return code get no CONNACK before version 5 [MQTT-3.2.2-6]', () => {
    const connack = { sessionPresent: false, reason: ReasonCode.malformedPacket };
    let done = true;
    const bytes = written((output) => {
      done = writeConnack(output, 4, connack);
    });
    assert.deepEqual([done, bytes.length], [false, 0]);
    assert.deepEqual([...written((output) => writeConnack(output, 5, connack))], [0x20, 3, 0, 0x81, 0]);
  });

  it('never stand beside a session in a CONNACK [MQTT-3.2.2-6]', () => {
    const refused = { sessionPresent: true, reason: ReasonCode.notAuthorized };
    assert.deepEqual([...written((output) => writeConnack(output, 4, refused))], [0x20, 2, 0, 5]);
  });
});

describe('packet types', () => {
  it('have names', () => {
    for (const [name, type] of Object.entries(PacketType)) assert.equal(packetName(type), name.toUpperCase());
    assert.equal(packetName(0), 'reserved');
  });
});
