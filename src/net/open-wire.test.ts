import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stand, until } from '../../test/harness/net/stand.ts';

/** More than one peer's share of a turn, in lines. */
const muchText = `${'x'.repeat(99)}\n`.repeat(2000);

for (const useHandles of [true, false]) {
  test(`a peer that has had its share of a turn, and is let go on within it, stays connected (${useHandles ? 'handles' : 'sockets'})`, async (t) => {
    const stand = new Stand(t);
    const listener = await stand.listen({ useHandles });
    const client = await stand.client(listener);
    await client.ask('hello');
    const { last } = stand.protocol;
    const receive = last.receive.bind(last);
    let shares = 0;
    // As when a journal that fell behind holds a publisher back, and catches up before the turn is over.
    last.receive = (bytes): void => {
      receive(bytes);
      if (last.wire.output.pendingBytes === 0) return;
      last.wire.pause();
      stand.loop.atEnd(() => {
        shares++;
        last.wire.resume();
      });
    };
    for (let i = 0; i < 20; i++) client.say(muchText);
    await until(() => client.closed || client.text.length >= 20 * muchText.length);
    assert.deepEqual([client.closed, last.events.includes('closed')], [false, false]);
    assert.ok(shares > 0);
    assert.equal(await client.ask('still there'), 'still there');
  });
}
