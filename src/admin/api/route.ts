// One route of the management API as data: what it is called, who may, what goes in and out, and what it does. api.ts serves it, and
// the description (OpenAPI) is made of the same values.

import type { Static, TObject, TSchema } from 'typebox';
import type { Caller } from './caller.ts';
import type { Permission } from './permission.ts';
import type { Problem } from './problem.ts';
import type { ApiServices } from './services.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a handler is told besides the input. */
export type Call = {
  readonly caller: Caller;
  /** The tenant that the request is about; the caller may manage it. */
  readonly tenant: string;
  /** Address it came from; empty: this process. */
  readonly from: string;
  /** The version that the entry must still have (If-Match). */
  readonly ifMatch: number | undefined;
  readonly services: ApiServices;
};

/** What a handler gives back besides a Problem. */
export type Answer = {
  readonly status: 200 | 201 | 202 | 204;
  readonly body?: unknown;
  /** Sent as ETag. */
  readonly version?: number;
  /** Path below `/api/v1` of what was made. */
  readonly location?: string;
  /** In place of a body: text that goes on; `contentType` says of which kind. */
  readonly stream?: AsyncIterable<string>;
  readonly contentType?: string;
  /** Facts for the audit log. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
};

type Of<S extends TSchema | undefined> = S extends TSchema ? Static<S> : undefined;

export type Input<P extends TObject | undefined, Q extends TObject | undefined, B extends TSchema | undefined> = {
  readonly params: Of<P>;
  readonly query: Of<Q>;
  readonly body: Of<B>;
  /** Of a route that takes a file: its bytes as they come. */
  readonly file?: AsyncIterable<Uint8Array>;
};

export type RouteSpec<
  P extends TObject | undefined = TObject | undefined,
  Q extends TObject | undefined = TObject | undefined,
  B extends TSchema | undefined = TSchema | undefined,
> = {
  readonly method: Method;
  /** Below `/api/v1`; `{id}` is a parameter: `/devices/{id}`, `/devices:import`. */
  readonly path: string;
  /** Names it for programs and in approvals: `createDevice`. */
  readonly operation: string;
  readonly summary: string;
  /** More for its reader. */
  readonly description?: string;
  readonly permission: Permission;
  /** node: the node as a whole, for principals of the first tenant. system: all tenants, for system-wide administrators. */
  readonly scope: 'tenant' | 'node' | 'system';
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Takes a file as its body, of these types, without a limit of length. */
  readonly takes?: readonly string[];
  /** Of the answers that are no problem. */
  readonly answers: Readonly<Partial<Record<200 | 201 | 204, { readonly description: string; readonly schema?: TSchema }>>>;
  /** The type of an answer that is not JSON. */
  readonly gives?: string;
  /** What the audit log calls it; absent: it changes nothing. */
  readonly audit?: {
    readonly action: string;
    /** Path of what it is done to. */
    readonly target: (input: Input<P, Q, B>, tenant: string) => string;
    /** The callee records what it does; only what never reaches it is recorded here. */
    readonly byCallee?: true;
  };
  /**
   * With separation of duties it wants a second person; for some routes only some input does. `summary` tells that person, in words,
   * what is asked.
   */
  readonly duty?: {
    readonly applies?: (input: Input<P, Q, B>) => boolean;
    readonly summary: (input: Input<P, Q, B>, tenant: string) => string;
  };
  /** What the caller must be able to do besides `permission`, by the input: nobody gives rights that are not theirs to give. */
  readonly forbids?: (input: Input<P, Q, B>, call: Call) => Problem | undefined;
  readonly handle: (input: Input<P, Q, B>, call: Call) => Promise<Answer | Problem> | Answer | Problem;
};

/** Keeps the types of the parts together. */
export function route<const P extends TObject | undefined, const Q extends TObject | undefined, const B extends TSchema | undefined>(
  spec: RouteSpec<P, Q, B>,
): RouteSpec {
  return spec as unknown as RouteSpec;
}

export function ok(body: unknown, version?: number): Answer {
  return { status: 200, body, ...(version !== undefined && { version }) };
}

export function created(body: unknown, location: string, version?: number): Answer {
  return { status: 201, body, location, ...(version !== undefined && { version }) };
}

export const done: Answer = { status: 204 };
