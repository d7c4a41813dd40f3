// The management API on a real registry, asked in process as whoever the test says. Every answer is held against the schema that
// describes it.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Compile } from 'typebox/compile';
import { ManualClock } from '../../../base/clock.ts';
import { silentLog } from '../../../base/log.ts';
import { SeededRandom } from '../../../base/random.ts';
import { SqliteRegistry } from '../../../registry/sqlite/sqlite-registry.ts';
import { deviceKeysOf } from '../../../node/device-keys.ts';
import type { SecretBox } from '../../../security/authentication/psk.ts';
import type { AuditEvent } from '../../../security/audit/audit.ts';
import type { Principal } from '../../../security/security.ts';
import { apiPrefix, createApi, type Api, type ApiOptions } from '../api.ts';
import { Approvals } from '../approvals.ts';
import { callerOf, localCaller, type Caller } from '../caller.ts';
import type { Permission } from '../permission.ts';
import { Problem } from '../problem.ts';
import type { RouteSpec } from '../route.ts';
import { allRoutes } from '../routes.ts';
import type { ApiServices, ApiSettings } from '../services.ts';

export type Ask = {
  /** `tenant/id` of a principal, or undefined: whoever reads the data directory. */
  readonly as?: string | undefined;
  readonly body?: unknown;
  readonly file?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Asked = {
  readonly status: number;
  // The shape is what the test is about.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
};

/** Hides what is in it, as a real one does. */
const openBox: SecretBox = {
  seal: (plain) => plain.map((byte) => byte ^ 0xa5),
  unseal: (sealed) => sealed.map((byte) => byte ^ 0xa5),
  mark: () => new Uint8Array(32),
};

/** The routes as they are, to be gone through. */
export function routesAsData(): readonly RouteSpec[] {
  return allRoutes(new Approvals({} as ApiServices, () => new Problem(500, 'bug', 'not asked here')));
}

export class TestApi {
  readonly registry: SqliteRegistry;
  readonly clock: ManualClock;
  readonly events: AuditEvent[] = [];
  /** What each principal may, by `tenant/id`; `*`: everything. */
  readonly rights = new Map<string, readonly Permission[] | '*'>();
  settings: ApiSettings = { requestsPerSecond: 10_000, separationOfDuties: false, approvalExpiryMs: 3_600_000 };
  readonly #routes = routesAsData();
  #api!: Api;
  #services!: ApiServices;

  private constructor(registry: SqliteRegistry, clock: ManualClock) {
    this.registry = registry;
    this.clock = clock;
  }

  static async open(t: TestContext, more: Partial<ApiServices> = {}): Promise<TestApi> {
    const directory = await mkdtemp(join(tmpdir(), 'heliograph-api-'));
    const clock = new ManualClock(1_800_000_000_000);
    const opened = SqliteRegistry.open({ path: join(directory, 'registry.db'), clock, thread: false });
    assert.ok(opened.ok);
    const test = new TestApi(opened.value, clock);
    await test.#start(more);
    t.after(async () => {
      await test.#api.close();
      await test.registry.close();
      await rm(directory, { recursive: true, force: true });
    });
    return test;
  }

  /** The same behind something else, such as a real listener. */
  apiFor(options: ApiOptions): Promise<Api> {
    return createApi(this.#services, options);
  }

  async #start(more: Partial<ApiServices>): Promise<void> {
    this.#services = {
      clock: this.clock,
      random: new SeededRandom(7),
      log: { ...silentLog, error: (event, fields) => assert.fail(`${event} ${JSON.stringify(fields)}`) },
      settings: () => this.settings,
      registry: this.registry,
      audit: { record: (event) => void this.events.push(event) },
      pskSecret: async (key) => (key.length < 16 || key.length > 64 ? undefined : `sealed-${key.length}`),
      deviceKeys: deviceKeysOf(async () => openBox, new SeededRandom(8)),
      passwordCredentials: async (password) =>
        password.length < 8
          ? { fault: 'the password is too short' }
          : { credentials: [{ type: 'password', secret: `hash-of-${password.length}` }] },
      config: () => ({ node: { name: 'test' } }),
      ...more,
    };
    this.#api = await createApi(this.#services, { identify: async (request) => this.#identify(request.headers['x-as']), describe: true });
  }

  #identify(as: string | string[] | undefined) {
    if (as === undefined) return { ok: true, caller: localCaller } as const;
    if (!this.rights.has(as as string)) return { ok: false, status: 401, detail: 'The credentials are missing or wrong.' } as const;
    return { ok: true, caller: this.caller(as as string) } as const;
  }

  caller(as: string): Caller {
    const [tenant, id] = as.split('/') as [string, string];
    const principal: Principal = { tenant, id, kind: 'user', roles: [] };
    const rights = this.rights.get(as) ?? [];
    return callerOf(principal, { allows: (_who, _action, topic) => rights === '*' || (rights as readonly string[]).includes(topic) });
  }

  /** `path` is below /api/v1. */
  async ask(method: RouteSpec['method'], path: string, { as, body, file, headers = {} }: Ask = {}): Promise<Asked> {
    const response = await this.#api.inject({
      method,
      url: `${apiPrefix}${path}`,
      headers: { ...headers, ...(as !== undefined && { 'x-as': as }) },
      ...(body !== undefined && { payload: body as object }),
      ...(file !== undefined && { payload: file }),
    });
    const { statusCode: status, body: text } = response;
    const isJson =
      String(response.headers['content-type']).includes('json') && !String(response.headers['content-type']).includes('ndjson');
    const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : undefined;
    this.#hold(method, path, status, parsed, response.headers);
    return { status, body: parsed, text, headers: response.headers };
  }

  /** What is answered is what is described. */
  #hold(method: string, path: string, status: number, body: unknown, headers: Readonly<Record<string, unknown>>): void {
    if (status >= 400) {
      assert.equal(headers['content-type'], 'application/problem+json', path);
      const { type, status: told, code, detail } = body as { type: string; status: number; code: string; detail: string };
      assert.deepEqual([type, told], [`urn:heliograph:problem:${code}`, status]);
      assert.match(detail, /^[^a-z].*[.!?]$/s);
      return;
    }
    const [pathname = ''] = path.split('?');
    const spec = this.#routes.find((route) => route.method === method && patternOf(route.path).test(pathname));
    const answer = spec?.answers[status as 200];
    if (status === 202 || spec === undefined || spec.gives !== undefined) return;
    assert.ok(answer, `${method} ${path} answers ${status}, which is not described`);
    if (answer.schema === undefined) return;
    const check = Compile(answer.schema);
    assert.ok(check.Check(body), `${method} ${path}: ${JSON.stringify(check.Errors(body))}`);
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}
