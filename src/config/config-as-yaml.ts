import { stringify } from 'yaml';

/** A configuration, complete, as a file has it; without comments. */
export function configAsYaml(config: object): string {
  return stringify(config);
}
