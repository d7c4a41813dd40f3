// node dead.js: shows the first message of the queue "jobs-dead", and leaves it there.

import { connect } from './connection.js';

const connection = connect('dead');
const dead = connection.open_receiver({ source: { address: 'queue:jobs-dead', distribution_mode: 'copy' } });

dead.on('message', ({ message }) => {
  const { message_annotations: why, body } = message;
  console.log(body, why['x-opt-death-reason'], 'in', why['x-opt-death-from']);
  connection.close();
});
