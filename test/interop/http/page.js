// What the page of the browser checks can do; the checks call these functions by their names.

const streams = new Map();

/** What a request comes to: its answer, or `refused` when the browser does not let the page see one. */
async function ask({ url, body, json, ...options }) {
  try {
    const response = await fetch(url, { ...options, ...(json === undefined ? { body } : { body: JSON.stringify(json) }) });
    return { status: response.status, text: await response.text(), etag: response.headers.get('ETag'), type: response.type };
  } catch {
    return { status: 'refused' };
  }
}

/** Opens an EventSource that remembers what it hears; the browser reconnects it by itself. */
function listen({ url }) {
  const source = new EventSource(url, { withCredentials: true });
  const heard = { source, opened: 0, failed: 0, payloads: [] };
  source.addEventListener('open', () => heard.opened++);
  source.addEventListener('error', () => heard.failed++);
  source.addEventListener('message', ({ data }) => heard.payloads.push(JSON.parse(data).payload));
  streams.set(url, heard);
}

function heard({ url }) {
  const { source, opened, failed, payloads } = streams.get(url);
  return { opened, failed, payloads, isClosed: source.readyState === EventSource.CLOSED };
}

/** Subscribes and publishes with MQTT.js over a WebSocket: the payloads that came back. */
function mqttRoundTrip({ url, topic, qos, payloads, ...options }) {
  return new Promise((resolve, reject) => {
    const client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 10_000, ...options });
    const back = [];
    client.on('error', reject);
    client.on('close', () => reject(new Error('closed')));
    client.on('message', (_topic, payload) => {
      back.push(payload.toString());
      if (back.length < payloads.length) return;
      resolve(back);
      client.end();
    });
    client.on('connect', () => {
      client.subscribe(topic, { qos }, (error) => {
        if (error) return reject(new Error('not subscribed', { cause: error }));
        for (const payload of payloads) client.publish(topic, payload, { qos });
      });
    });
  });
}

Object.assign(globalThis, { ask, listen, heard, mqttRoundTrip });
