import { loadConfig, type Config } from '../config.ts';
import { withOverrides } from '../config/overrides.ts';

/** The configuration that a command's --config and --data name. @throws UserError */
export function configOf(options: { readonly config?: string; readonly data?: string }): Config {
  return withOverrides(loadConfig(options.config), options.data === undefined ? {} : { data: options.data });
}
