// Every tool starts here, also under a Node that is too old to run the rest: plain JavaScript, nothing modern.

/** Ends the process with advice unless this Node can run Heliograph. The same range is in package.json's `engines`. */
export function requireNode() {
  const parts = process.versions.node.split('.').map(Number);
  const good = parts[0] >= 26 || (parts[0] === 24 && parts[1] >= 15);
  if (good) return;
  console.error('This needs Node 24.15 or later of 24, or 26 and later; this is ' + process.version + '.');
  console.error('`npm install` brings the right one along, and `npm test`, `npm start` and `npm run ...` use it by themselves.');
  process.exit(1);
}
