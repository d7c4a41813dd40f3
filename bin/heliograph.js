#!/usr/bin/env node
// Checks the version of Node before anything that an old one cannot read is loaded. This file must run everywhere: no import
// statement, nothing younger than 2018.

var needed = '24.15';
var version = process.versions.node.split('.').map(Number);

if (version[0] < 24 || (version[0] === 24 && version[1] < 15) || version[0] === 25) {
  console.error(
    'Heliograph needs Node ' +
      needed +
      ' or later (24, or 26 and above), but this is Node ' +
      process.versions.node +
      '.\n' +
      'Fix: in a clone, use "npm install" and "npm start", which bring the right Node;\n' +
      '     elsewhere, install Node 24 from https://nodejs.org/ and try again.',
  );
  process.exitCode = 1;
} else {
  start();
}

function start() {
  Promise.all([import('node:module'), import('node:fs'), import('node:os'), import('node:path'), import('node:v8')])
    .then(function (modules) {
      var path = modules[3];
      // A second start reads compiled code. In the user's own directory: others could plant code in a shared one.
      var cache =
        process.env.NODE_COMPILE_CACHE || path.join(process.env.XDG_CACHE_HOME || path.join(modules[2].homedir(), '.cache'), 'heliograph');
      // V8 makes some objects in the old generation at once, where such objects lived long before; what dead ones there refer to is kept
      // by each scavenge. With it, a third of all that publishes by HTTP leave behind was kept until the next full collection; without
      // it, 7 to 19 %. MQTT costs the same either way.
      modules[4].setFlagsFromString('--no-allocation-site-pretenuring');
      modules[0].enableCompileCache(cache);
      // A clone has src/ and runs as it is; the published package has dist/ alone.
      var source = new URL('../src/main.ts', import.meta.url);
      var entry = modules[1].existsSync(source) ? source : new URL('../dist/main.js', import.meta.url);
      return import(entry.href);
    })
    .then(function (main) {
      return main.main(process.argv);
    })
    .catch(function (error) {
      console.error(error);
      process.exitCode = 70;
    });
}
