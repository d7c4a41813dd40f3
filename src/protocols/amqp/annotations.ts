// Message annotations that mean something to the broker. Their keys are symbols.

export const Annotation = {
  /** boolean. The message sets the last value of its topic. */
  retain: 'x-opt-retain',
  /** long, ulong or timestamp: milliseconds since the epoch before which it is not delivered. As Qpid JMS sends it. */
  deliveryTime: 'x-opt-delivery-time',
  /** timestamp. The same, as Azure's clients send it. */
  scheduledEnqueueTime: 'x-opt-scheduled-enqueue-time',
  /** long, ulong, int or uint: the same as a duration in milliseconds. */
  deliveryDelay: 'x-opt-delivery-delay',
  /** byte. What `to` is: 0 queue, 1 topic, 2 temporary queue, 3 temporary topic [AMQP-JMS 3.2.4.2]. */
  jmsDestination: 'x-opt-jms-dest',
  /** byte. The same of `reply-to`. */
  jmsReplyTo: 'x-opt-jms-reply-to',
  /** list of keys and values in turn: the properties of a message that a map cannot hold, because a key stands twice. */
  properties: 'x-opt-heliograph-properties',
  /** string. Who sent it; only from the broker. */
  sender: 'x-opt-sender',
  /** string. The topic it was published to; only from the broker, on links that may get messages of several. */
  topic: 'x-opt-topic',
  /** symbol, string, string, timestamp: why it is in a dead-letter queue, what its consumer said, where it was, and since when. */
  deathReason: 'x-opt-death-reason',
  deathDescription: 'x-opt-death-description',
  deathFrom: 'x-opt-death-from',
  deathTime: 'x-opt-death-time',
} as const;

/** What only the broker may say: taken out of what peers send. */
export const brokersOwn: ReadonlySet<string> = new Set([
  Annotation.sender,
  Annotation.topic,
  Annotation.deathReason,
  Annotation.deathDescription,
  Annotation.deathFrom,
  Annotation.deathTime,
]);
