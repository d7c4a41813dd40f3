// What somebody may do is changed while it is connected: what it may no longer receive stops coming, what it may no longer send is
// refused, and it keeps its connection and everything else.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { told, untilOver, within } from './cuts.ts';
import { accountFor, mqttDoors, MqttLine, overTcp } from './doors.ts';
import { cutLimitMs, type Account, type World } from './world.ts';

import type { Checks } from '../interop/checks.ts';

type Stage = {
  readonly world: World;
  readonly role: string;
  readonly policy: string;
  /** May be lost. */
  readonly topic: string;
  /** Is kept. */
  readonly kept: string;
};

type Actor = { readonly name: string; readonly account: Account; readonly line: MqttLine };

type Change = {
  readonly name: string;
  readonly make: (stage: Stage, accounts: readonly Account[]) => Promise<unknown>;
  readonly audit: (stage: Stage, account: Account) => string;
};

const changes: readonly Change[] = [
  {
    name: 'a policy that says less',
    make: ({ world, policy }) => world.must('PATCH', `/policies/${policy}`, { document: grant([`plant/${policy}/other`]) }),
    audit: ({ policy }) => `policy.update policy/main/${policy}`,
  },
  {
    name: 'a role that has another policy',
    make: ({ world, role }) => world.must('PATCH', `/roles/${role}`, { policies: [] }),
    audit: ({ role }) => `role.update role/main/${role}`,
  },
  {
    name: 'a role that is removed',
    make: ({ world, role }) => world.must('DELETE', `/roles/${role}`),
    audit: ({ role }) => `role.remove role/main/${role}`,
  },
  {
    name: 'a role that is taken from its devices',
    make: ({ world, role }, accounts) =>
      Promise.all(accounts.map(({ id }) => world.must('PATCH', `/devices/${id}`, { roles: ['device', `${role}-base`] }))),
    audit: (_stage, { id }) => `device.update device/main/${id}`,
  },
];

function grant(topics: readonly string[]): object {
  return { version: 1, statements: [{ effect: 'allow', actions: ['publish', 'subscribe'], topics }] };
}

async function stageFor(world: World): Promise<Stage> {
  const name = world.name('rights');
  const stage = { world, role: name, policy: name, topic: `plant/${name}/b`, kept: `plant/${name}/a` };
  for (const [id, topics] of [
    [name, [stage.topic]],
    [`${name}-base`, [stage.kept]],
    [`${name}-others`, [stage.topic, stage.kept]],
  ] as const) {
    await world.post('/policies', { id, document: grant(topics) });
    await world.post('/roles', { id, policies: [id] });
  }
  return stage;
}

async function actors({ world, topic, kept }: Stage, roles: readonly string[]): Promise<Actor[]> {
  return Promise.all(
    mqttDoors.map(async (door): Promise<Actor> => {
      const account = await accountFor(world, door, 'main', ['device', ...roles]);
      const line = (await door.open(world, account)) as MqttLine;
      for (const filter of [topic, kept]) await line.peer.subscribe(filter, 1);
      return { name: door.name, account, line };
    }),
  );
}

/** Somebody who may publish everywhere. */
async function speaker(world: World): Promise<MqttLine> {
  const id = world.name('speaker');
  const password = world.secret('a password', randomBytes(18).toString('base64url'));
  await world.post('/applications', { id, password, roles: ['application'] });
  const account = { id } as Account;
  return MqttLine.over(await overTcp(world.port('mqtt')), account, { username: id, password });
}

/** Sends the number on both topics, and tells who got it on the one that may be lost: the other comes after it. */
async function round({ topic, kept }: Stage, from: MqttLine, to: readonly Actor[], number: number): Promise<Actor[]> {
  for (const each of [topic, kept]) assert.equal(await from.peer.publish(each, String(number), 1), 0);
  const got = await Promise.all(
    to.map(async (actor) => {
      let hasIt = false;
      for (;;) {
        const packet = await actor.line.peer.next('publish');
        if (packet.payload !== String(number)) continue;
        if (packet.topic === kept) return hasIt;
        hasIt = true;
      }
    }),
  );
  return to.filter((_, i) => got[i]);
}

export async function policies(checks: Checks, world: World): Promise<void> {
  for (const change of changes) {
    await checks.check(`rights: ${change.name} holds for who is connected, on every listener`, async (context) => {
      const stage = await stageFor(world);
      const [losing, others, from] = [
        await actors(stage, [stage.role, `${stage.role}-base`]),
        await actors(stage, [`${stage.role}-others`]),
        await speaker(world),
      ];
      context.after(() => [...losing, ...others].forEach(({ line }) => line.close()));
      context.after(() => from.close());
      const all = [...losing, ...others];
      let number = 0;
      assert.equal((await round(stage, from, all, ++number)).length, all.length);
      const accounts = losing.map(({ account }) => account);
      await change.make(stage, accounts);
      const fromMs = performance.now();
      const lost = new Map<string, number>();
      while (lost.size < losing.length) {
        const got = await within(round(stage, from, all, ++number), cutLimitMs, 'no answer');
        const ms = performance.now() - fromMs;
        assert.ok(
          ms <= cutLimitMs,
          `still subscribed: ${losing
            .filter((each) => got.includes(each))
            .map(({ name }) => name)
            .join(', ')}`,
        );
        for (const actor of losing) if (!got.includes(actor) && !lost.has(actor.name)) lost.set(actor.name, ms);
        for (const actor of others) assert.ok(got.includes(actor), `${actor.name}: lost what it may have`);
      }
      told([...lost]);
      assert.deepEqual(await round(stage, from, all, ++number), others);
      for (const { line, name, account } of losing) {
        assert.equal(await line.peer.publish(stage.topic, 'x', 1), 0x87, name);
        await assert.rejects(line.peer.subscribe(stage.topic, 1), /0x87/, name);
        // Its own branch is what it was.
        await line.works();
        world.done.add(change.audit(stage, account));
      }
      for (const { line } of others) assert.equal(await line.peer.publish(stage.topic, 'x', 1), 0);
    });
  }
  await checks.check('rights: a policy that denies to connect ends every connection', async (context) => {
    const stage = await stageFor(world);
    const [losing, others] = [await actors(stage, [stage.role, `${stage.role}-base`]), await actors(stage, [`${stage.role}-others`])];
    context.after(() => [...losing, ...others].forEach(({ line }) => line.close()));
    const document = { version: 1, statements: [{ effect: 'deny', actions: ['connect'] }] };
    await world.must('PATCH', `/policies/${stage.policy}`, { document });
    told(await Promise.all(losing.map(async ({ line, name }) => [name, await untilOver(line, name)] as const)));
    for (const door of mqttDoors) {
      const account = losing.find(({ name }) => name === door.name)!.account;
      await assert.rejects(door.open(world, account), door.name);
    }
    for (const { line } of others) await line.works();
    world.done.add(`policy.update policy/main/${stage.policy}`);
  });
}
