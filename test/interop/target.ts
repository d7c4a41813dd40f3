// The broker that the clients are run against.

export type Endpoint = { readonly host: string; readonly port: number };

export type TlsFacts = {
  readonly caFile: string;
  /** A certificate that the broker accepts as a device's, and its key; undefined where there is none. */
  readonly client: { readonly certFile: string; readonly keyFile: string } | undefined;
};

export interface Target {
  readonly name: string;
  readonly tcp: Endpoint;
  readonly tls: Endpoint | undefined;
  readonly ws: Endpoint | undefined;
  readonly wss: Endpoint | undefined;
  /** AMQP 1.0, plain and over TLS; undefined where the broker does not speak it. */
  readonly amqp?: Endpoint;
  readonly amqps?: Endpoint;
  /** STOMP, plain and over TLS; undefined where the broker does not speak it. */
  readonly stomp?: Endpoint;
  readonly stomps?: Endpoint;
  readonly tlsFacts: TlsFacts | undefined;
  /** Sent by every client; undefined where anonymous clients are let in. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** A token that proves who an application is; undefined where none is taken. */
  readonly jwt?: (subject: string) => Promise<string>;
  /** How devices come to certificates; undefined where they do not. */
  readonly enrolment?: {
    readonly est: Endpoint;
    /** A new token for a device of this id; options as `enrol token create` has them. */
    readonly token: (id: string, ...options: readonly string[]) => Promise<string>;
    /** Runs the command line on this broker; what it prints. */
    readonly cli: (...args: readonly string[]) => Promise<string>;
  };
  /** Ends the broker by SIGKILL and starts it again on the same data; undefined where that cannot be done. */
  readonly crash: (() => Promise<void>) | undefined;
  stop(): Promise<void>;
}
