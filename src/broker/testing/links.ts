import type { Attributes } from '../../message/attributes.ts';
import type { AttachRequest } from '../port.ts';
import type { TestBroker, TestConsumer } from './test-broker.ts';

/** Of a message for which `colour = 'red'` is true. */
export const red: { readonly attributes: Attributes } = {
  attributes: { properties: [{ key: 'colour', value: { type: 'string', value: 'red' } }] },
};

/** A session that is a part of a connection. `prepare` is called before anything can reach its consumer. */
export function link(
  t: TestBroker,
  connection: TestConsumer,
  name: string,
  more: Partial<AttachRequest> = {},
  prepare?: (consumer: TestConsumer) => void,
): TestConsumer {
  return t.connect(name, { partOf: connection.session!, ...more }, prepare);
}
