// Runs every chapter, then checks that each statement that binds a server was proved.

import './connect.ts';
import './data.ts';
import './keep-alive.ts';
import './properties.ts';
import './publish.ts';
import './session.ts';
import './will.ts';
