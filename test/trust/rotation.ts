// The authorities are changed under a fleet that works: the change itself drops nobody, both chains are good until the old one is
// retired, and then exactly those go that have nothing else.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { refused, told, untilOver } from './cuts.ts';
import { accountFor, httpDoors, mqttDoors, streamDoors, type Door, type Line, type MqttLine } from './doors.ts';
import { cutLimitMs, type Account, type World } from './world.ts';

import type { Impact, Rotation } from '../../src/security/pki/ca-management.ts';
import type { AuthorityView } from '../../src/security/pki/pki.ts';
import type { Checks } from '../interop/checks.ts';

type Member = { account: Account; readonly door: Door; line: MqttLine };
type Guest = { readonly account: Account; readonly door: Door; readonly line: Line };
type Authorities = { readonly entries: readonly AuthorityView[]; readonly activeIssuing: string; readonly activeRoot: string };

const tlsDoors = mqttDoors.filter(({ proof }) => proof === 'certificate');
const everyDoor = [...mqttDoors, ...httpDoors, ...streamDoors].filter(({ proof }) => proof === 'certificate');

/** Devices with certificates that publish with QoS 1 one after the other, without an end. */
class Fleet {
  readonly members: Member[] = [];
  readonly #world: World;
  #isOver = false;
  published = 0;
  #running: Promise<void> | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async grow(count: number): Promise<void> {
    for (let done = 0; done < count; done += 20) {
      await Promise.all(
        Array.from({ length: Math.min(20, count - done) }, async (_, i) => {
          const door = tlsDoors[i % tlsDoors.length]!;
          const account = await accountFor(this.#world, door);
          this.members.push({ account, door, line: (await door.open(this.#world, account)) as MqttLine });
        }),
      );
    }
  }

  start(): void {
    this.#running = (async () => {
      while (!this.#isOver) await this.round();
    })();
    this.#running.catch(() => {});
  }

  async round(): Promise<void> {
    await Promise.all(
      this.members.map(async ({ line, account }) => {
        if (line.peer.ended) return;
        // 0x10: nobody has subscribed.
        const reason = await line.peer.publish(`dev/${account.id}/y`, 'x', 1);
        assert.ok(reason === 0 || reason === 0x10, `${account.id}: refused with ${reason}`);
        this.published++;
      }),
    );
  }

  /** Whatever went wrong on the way is thrown here. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** Several rounds have gone through since. */
  async goesOn(): Promise<void> {
    const wanted = this.published + 2 * this.members.length;
    while (this.published < wanted) await Promise.race([new Promise((resolve) => setImmediate(resolve)), this.#running]);
  }

  present(): number {
    return this.members.filter(({ line }) => !line.peer.ended).length;
  }
}

async function authorities(world: World): Promise<Authorities> {
  return (await world.must('GET', '/authorities')) as Authorities;
}

/** Everybody that the dry run names. */
async function impactOf(world: World, query: string): Promise<{ readonly impact: Impact; readonly owners: Set<string> }> {
  const owners = new Set<string>();
  let impact: Impact;
  let after: string | undefined;
  do {
    impact = (await world.must('GET', `/authorities:impact?${query}&limit=1000${after === undefined ? '' : `&after=${after}`}`)) as Impact;
    for (const { tenant, owner } of impact.entries) owners.add(`${tenant}/${owner.id}`);
    after = impact.next;
  } while (after !== undefined);
  return { impact, owners };
}

async function visit(world: World): Promise<Guest[]> {
  return Promise.all(
    everyDoor.map(async (door): Promise<Guest> => {
      const account = await accountFor(world, door);
      return { door, account, line: await door.open(world, account) };
    }),
  );
}

async function rotated(world: World, fleet: Fleet, what: 'issuing' | 'root'): Promise<string> {
  const before = await authorities(world);
  const { impact, owners } = await impactOf(world, `what=${what}`);
  for (const { account } of fleet.members) assert.ok(owners.has(`main/${account.id}`), `${account.id} would be cut off`);
  assert.equal(impact.cutOff, owners.size, 'everybody who is named, and nobody else');
  const rotation = (await world.post('/authorities:rotate', { what })) as Rotation;
  world.done.add(`authority.rotate authority/${what === 'root' ? rotation.root!.id : rotation.issuing.id}`);
  const old = what === 'root' ? before.activeRoot : before.activeIssuing;
  assert.ok(rotation.retiring.includes(old), 'the old one is retiring');
  assert.equal(what === 'root', rotation.crossSigned);
  await fleet.goesOn();
  assert.equal(fleet.present(), fleet.members.length, 'nobody is dropped');
  return old;
}

async function overlap(world: World, fleet: Fleet, what: 'issuing' | 'root'): Promise<void> {
  const oldRoot = world.root;
  const late = await Promise.all(everyDoor.map(async (door) => ({ door, account: await accountFor(world, door) })));
  const old = await rotated(world, fleet, what);
  const newcomers = await visit(world);
  // With certificates of the old one.
  const latecomers = await Promise.all(late.map(async (guest) => ({ ...guest, line: await guest.door.open(world, guest.account) })));
  if (what === 'root') {
    world.root = readFileSync(join(world.data, 'pki', 'ca.crt'), 'utf8');
    const newest = world.root
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .filter((pem) => pem.includes('BEGIN') && !oldRoot.includes(pem.trim()));
    assert.equal(newest.length, 1, 'ca.crt has the new root, too');
    // Who knows one root only, whichever, still knows the broker.
    for (const trusted of [oldRoot, newest[0]!]) {
      for (const door of tlsDoors) {
        const account = await accountFor(world, door);
        (await door.open({ ...doorsOf(world), root: trusted } as World, account)).close();
      }
    }
  }
  await fleet.stop();
  await renewAndRetire(world, fleet, old, latecomers, newcomers);
}

/** The world as somebody sees it who trusts somebody else. */
function doorsOf(world: World): Pick<World, 'port' | 'root'> {
  return { port: (name) => world.port(name), root: world.root };
}

async function renewAndRetire(
  world: World,
  fleet: Fleet,
  old: string,
  latecomers: readonly Guest[],
  newcomers: readonly Guest[],
): Promise<void> {
  const count = Math.floor(fleet.members.length / 4);
  const renewed = fleet.members.slice(0, count);
  const left = fleet.members.slice(count);
  for (const member of renewed) {
    member.account = { ...member.account, certified: await world.certify(member.account.id) };
    member.line.close();
    member.line = (await member.door.open(world, member.account)) as MqttLine;
  }
  const { owners } = await impactOf(world, `id=${old}`);
  const losing: readonly Guest[] = [...left, ...latecomers];
  for (const { account } of losing) assert.ok(owners.has(`main/${account.id}`), `${account.id} would be cut off`);
  for (const { account } of renewed) assert.ok(!owners.has(`main/${account.id}`), `${account.id} would not`);
  for (const { account } of newcomers) assert.ok(!owners.has(`main/${account.id}`), `${account.id} would not`);
  const careful = await world.ask('POST', `/authorities/${old}/retire`, {});
  assert.equal(careful.status, 409, 'not while somebody would be cut off');
  assert.equal(fleet.present(), fleet.members.length);
  await world.post(`/authorities/${old}/retire`, { force: true });
  world.done.add(`authority.retire authority/${old}`);
  const times = losing.map(({ line, account, door }) => untilOver(line, `${door.name}, ${account.id}`));
  for (const { door, account } of latecomers) await refused(world, door, account);
  told([[`the last of ${losing.length}`, Math.max(...(await Promise.all(times)))]]);
  assert.equal(fleet.present(), renewed.length, 'exactly those without a newer certificate are gone');
  for (const { line } of renewed) await line.works();
  for (const { line, door } of newcomers) {
    await line.works().catch((error: unknown) => assert.fail(`${door.name}: ${String(error)}`));
    line.close();
  }
  for (const { door, account } of renewed.slice(0, 4)) (await door.open(world, account)).close();
}

export async function rotation(checks: Checks, world: World): Promise<void> {
  for (const [what, count] of [
    ['issuing', 200],
    ['root', 40],
  ] as const) {
    const name = `rotation: a new ${what} authority under ${count} devices that publish; retiring the old one cuts whom it certified within ${cutLimitMs} ms`;
    await checks.check(name, async (context) => {
      const fleet = new Fleet(world);
      context.after(() => fleet.members.forEach(({ line }) => line.close()));
      await fleet.grow(count);
      fleet.start();
      await overlap(world, fleet, what);
    });
  }
}
