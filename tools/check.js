// npm run check: what can be known without running anything.

import { requireNode } from './node-version.js';
import { runSteps, staticChecks } from './steps.js';

requireNode();
const failed = runSteps(staticChecks);
console.log(staticChecks.length - failed.length + ' passed, ' + failed.length + ' failed');
process.exitCode = failed.length === 0 ? 0 : 1;
