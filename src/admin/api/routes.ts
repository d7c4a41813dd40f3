// Every route of the management API.

import { approvalRoutes } from './approval-routes.ts';
import type { Approvals } from './approvals.ts';
import { authorityRoutes } from './authorities.ts';
import { brokerRoutes } from './broker-routes.ts';
import { certificateRoutes } from './certificates.ts';
import { deviceKeyRoutes } from './device-keys.ts';
import { enrolmentRoutes } from './enrolments.ts';
import { nodeRoutes } from './node-routes.ts';
import { accessRoutes } from './policies.ts';
import { preSharedKeyRoutes } from './pre-shared-keys.ts';
import { principalRoutes } from './principals.ts';
import type { RouteSpec } from './route.ts';
import { tenantRoutes } from './tenants.ts';
import { tokenRoutes } from './tokens.ts';
import { transferRoutes } from './transfer.ts';

export function allRoutes(approvals: Approvals): readonly RouteSpec[] {
  return [
    ...nodeRoutes,
    ...tenantRoutes,
    ...transferRoutes,
    ...principalRoutes,
    ...preSharedKeyRoutes,
    ...deviceKeyRoutes,
    ...tokenRoutes,
    ...accessRoutes,
    ...certificateRoutes,
    ...authorityRoutes,
    ...enrolmentRoutes,
    ...approvalRoutes(approvals),
    ...brokerRoutes,
  ];
}
