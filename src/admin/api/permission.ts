// The words by which policies speak of management: `manage` on `<resource>:read` or `<resource>:write`.

export const managedResources = [
  'status',
  'metrics',
  'trace',
  'sessions',
  'queues',
  'retained',
  'connections',
  'listeners',
  'config',
  'devices',
  'applications',
  'users',
  'roles',
  'policies',
  'tenants',
  'certificates',
  'authorities',
  'enrolments',
  'audit',
  'approvals',
] as const;

export type ManagedResource = (typeof managedResources)[number];
export type Permission = `${ManagedResource}:${'read' | 'write'}`;
