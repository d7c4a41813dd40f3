// What the action `manage` is about: the words that the management interface asks with, and what the roles of management may.
// A resource is asked for as `<name>:read` or `<name>:write`.

/** Of one tenant: everyone's own. */
const ofTenant = [
  'sessions',
  'queues',
  'retained',
  'connections',
  'devices',
  'applications',
  'users',
  'roles',
  'policies',
  'certificates',
  'enrolments',
] as const;

/** Of the node as a whole. Who may `tenants:read` may look into all tenants. */
const ofNode = ['status', 'metrics', 'trace', 'listeners', 'config', 'tenants', 'authorities', 'audit', 'approvals'] as const;

export type ManagedName = (typeof ofTenant)[number] | (typeof ofNode)[number];
export type ManagedResource = `${ManagedName}:${'read' | 'write'}`;

const names: readonly ManagedName[] = [...ofTenant, ...ofNode];

/** The management interface as a whole, before it had parts. Still good for what it showed then. */
export const wholeInterface = '$admin';
export const shownByWholeInterface: ReadonlySet<string> = new Set<ManagedResource>(['status:read', 'metrics:read', 'trace:read']);

const tenantResources: ReadonlySet<string> = new Set(ofTenant.flatMap((name) => [`${name}:read`, `${name}:write`]));
export const managedResources: readonly string[] = names.flatMap((name) => [`${name}:read`, `${name}:write`]);

/** Not a tenant's own affair: what is not known is the node's. */
export function isOfNode(resource: string): boolean {
  return !tenantResources.has(resource);
}

const reads: readonly ManagedResource[] = names.filter((name) => name !== 'audit').map((name): ManagedResource => `${name}:read`);
const writes = (...of: readonly ManagedName[]): readonly ManagedResource[] => of.map((name): ManagedResource => `${name}:write`);

/** Names that no tenant can give another meaning. `admin` is not here: it may do everything. */
export const managementRoles: Readonly<Record<string, readonly string[]>> = {
  viewer: [...reads, wholeInterface],
  operator: [...reads, wholeInterface, ...writes('sessions', 'queues', 'retained', 'connections', 'devices')],
  'security-officer': [
    ...reads,
    wholeInterface,
    'audit:read',
    ...writes('certificates', 'enrolments', 'policies', 'roles', 'users', 'applications', 'authorities', 'audit', 'approvals'),
  ],
};

/** May do everything that nothing denies; only nobody publishes to `$SYS`. */
export const adminRole = 'admin';
