// The kinds of value a setting can have. Every setting has a description, a default or a reason to have none, bounds, and says
// whether it can change while the node runs (`live`) or wants a restart.

import {
  Type,
  type Static,
  type TArray,
  type TBoolean,
  type TEnum,
  type TInteger,
  type TObject,
  type TProperties,
  type TString,
  type TSchema,
} from 'typebox';

type Common = { readonly live?: boolean };
type Bounds = Common & { readonly default?: number; readonly min: number; readonly max: number };

/** What a whole number counts. A setting's name ends in its unit where it has one (`Ms`, `Sec`, `Bytes`). */
export type Unit = 'ms' | 'sec' | 'bytes' | 'count';

/** A span in milliseconds; a file may also say `30s`, `5min`, `12h`, `7d`. */
export function milliseconds(bounds: Bounds, description: string): TInteger {
  return whole('ms', bounds, description);
}

/** A span in seconds, where the protocol counts in them; a file may also say `30s`, `5min`, `12h`, `7d`. */
export function seconds(bounds: Bounds, description: string): TInteger {
  return whole('sec', bounds, description);
}

/** A size in bytes; a file may also say `64KiB`, `16MiB`, `2GiB`. */
export function bytes(bounds: Bounds, description: string): TInteger {
  return whole('bytes', bounds, description);
}

export function count(bounds: Bounds, description: string): TInteger {
  return whole('count', bounds, description);
}

function whole(unit: Unit, { min, max, ...rest }: Bounds, description: string): TInteger {
  return Type.Integer({ ...rest, unit, minimum: min, maximum: max, description });
}

export function flag(options: Common & { readonly default: boolean }, description: string): TBoolean {
  return Type.Boolean({ ...options, description });
}

export function choice<const Values extends string[]>(
  values: readonly [...Values],
  options: Common & { readonly default?: Values[number] },
  description: string,
): TEnum<Values> {
  return Type.Enum(values, { ...options, description });
}

type TextOptions = Common & {
  readonly default?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  /** The pattern in words, as the end of "must be". */
  readonly shape?: string;
  /** Shown in the generated file where there is no default. */
  readonly example?: string;
};

export function text(options: TextOptions, description: string): TString {
  return Type.String({ minLength: 1, maxLength: 4096, ...options, description });
}

export function list<Item extends TSchema>(
  item: Item,
  options: Common & { readonly min?: number; readonly max: number; readonly default?: unknown[]; readonly example?: unknown },
  description: string,
): TArray<Item> {
  const { min, max, ...rest } = options;
  return Type.Array(item, { default: [], ...rest, minItems: min ?? 0, maxItems: max, description });
}

export function section<Properties extends TProperties>(properties: Properties, description: string): TObject<Properties> {
  return Type.Object(properties, { additionalProperties: false, description });
}

/** A setting that may be absent: then it has no value, not even an empty list. `schema` must not be used elsewhere. */
export function optional<Schema extends TSchema>(schema: Schema) {
  delete (schema as { default?: unknown }).default;
  return Type.Optional(schema);
}

/** What a `section` gives. */
export type SettingsSection = TObject;

/** The values of a section. */
export type SettingsOf<Section extends SettingsSection> = Static<Section>;
