// node worker.js COUNT: works on COUNT deliveries of the queue "jobs". Several workers share the queue.

import { connect } from './connection.js';

let left = Number(process.argv[2] ?? 1);
const connection = connect(`worker-${process.pid}`);
const jobs = connection.open_receiver({ source: 'queue:jobs', autoaccept: false, credit_window: 0 });
const orders = connection.open_sender({ target: {} }); // without an address: each message says where it goes

jobs.once('receiver_open', () => jobs.add_credit(1));

jobs.on('message', ({ message, delivery }) => {
  const { device, level } = message.body;
  if (level > 100) {
    console.log(`${device}: ${level} cannot be (attempt ${(message.delivery_count ?? 0) + 1})`);
    delivery.modified({ delivery_failed: true });
    return next();
  }
  orders.send({ to: `dev/${device}/order`, body: 'open the valve' });
  orders.once('accepted', () => {
    console.log(`${device}: ordered`);
    delivery.accept();
    next();
  });
});

function next() {
  if (--left > 0) jobs.add_credit(1);
  else connection.close();
}
