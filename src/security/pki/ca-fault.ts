// How the management of the authority says no.

import type { RegistryError } from '../../registry/registry.ts';
import type { CaFault, CaFaultCode } from './ca-management.ts';

export function caFault(code: CaFaultCode, message: string, field?: string): { readonly ok: false; readonly error: CaFault } {
  return { ok: false, error: { code, message, ...(field !== undefined && { field }) } };
}

export function registryFault(error: RegistryError): { readonly ok: false; readonly error: CaFault } {
  return caFault('unavailable', `The registry does not take it: ${error.message}.`);
}
