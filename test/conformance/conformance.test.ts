// Runs every chapter, then checks that each statement that binds a server was proved.

import './data.ts';
import './connect.ts';
import './will.ts';
import './session.ts';
import './keep-alive.ts';
import './publish.ts';
import './properties.ts';
import './topic-alias.ts';
import './qos.ts';
import './flow-control.ts';
import './packet-size.ts';
import './subscribe.ts';
import './topics.ts';
import './shared.ts';
import './disconnect.ts';
import './authentication.ts';
