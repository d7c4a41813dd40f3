// node collector.js COUNT: takes COUNT levels from the durable subscription, and makes a job of each that is high. A level is
// accepted only after its job was: whenever this program or the broker dies, nothing is lost; a job may then come twice.

import { connect } from './connection.js';

let left = Number(process.argv[2] ?? 0);
const connection = connect('collector');
const jobs = connection.open_sender('queue:jobs');
const levels = connection.open_receiver({
  name: 'levels', // with the id of the connection: which subscription
  source: { address: 'dev/+/level', durable: 2, expiry_policy: 'never' },
  autoaccept: false,
  credit_window: 0,
});

const waiting = new Map();

function leave() {
  levels.detach(); // to close it would end the subscription
  connection.close();
}

function taken(delivery) {
  delivery.accept();
  if (--left === 0) leave();
}

levels.once('receiver_open', () => (left === 0 ? leave() : levels.add_credit(left)));

levels.on('message', ({ message, delivery }) => {
  const device = message.to.split('/')[1];
  const level = String(message.body.content ?? message.body);
  console.log(`${device}: ${level}`);
  if (Number(level) <= 90) return taken(delivery);
  const job = jobs.send({ body: { device, level }, durable: true, message_id: `${device}-${Date.now()}` });
  waiting.set(job.id, delivery);
});

jobs.on('accepted', ({ delivery }) => taken(waiting.get(delivery.id)));
