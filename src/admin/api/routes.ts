// Every route of the management API.

import { principalRoutes } from './principals.ts';
import type { RouteSpec } from './route.ts';

export const allRoutes: readonly RouteSpec[] = [...principalRoutes];
