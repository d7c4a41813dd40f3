// `$enrol/<id>/request`: a device that speaks nothing but MQTT asks for its next certificate, and is answered on the response topic it
// named, or on `$enrol/<id>/response`: with the chain in PEM, or with JSON that says why not.

import type { ServiceRequest, Service } from '../broker/routing/service-topics.ts';
import type { HolderOf } from '../security/pki/enrolment/certificate-holder.ts';
import type { EnrolmentDesk, Holder } from '../security/pki/enrolment/enrolment-desk.ts';
import { done as found, fault } from '../security/pki/enrolment/enrolment.ts';
import type { EnrolmentResult } from '../security/pki/enrolment/enrolment.ts';
import type { Principal } from '../security/security.ts';

export const enrolmentLevel = '$enrol';

export type TopicAnswer = { readonly topic: string; readonly payload: Uint8Array; readonly contentType: string };

export type EnrolmentTopicOptions = {
  readonly desk: Pick<EnrolmentDesk, 'again'>;
  readonly holderOf: HolderOf;
  /** Who may ask; read anew each time. */
  readonly allowed: () => 'off' | 'certificate' | 'any';
  /** Read anew each time. */
  readonly limits: () => Pick<Service, 'maxInFlight' | 'maxPayloadBytes'>;
  readonly send: (request: ServiceRequest, answer: TopicAnswer) => void;
  /** A fault of ours. */
  readonly failed: (error: unknown) => void;
};

export function enrolmentTopic(options: EnrolmentTopicOptions): Service {
  return {
    firstLevel: enrolmentLevel,
    get maxInFlight() {
      return options.limits().maxInFlight;
    },
    get maxPayloadBytes() {
      return options.limits().maxPayloadBytes;
    },
    handle: (request, done) => void answerTo(request, options).finally(done),
  };
}

async function answerTo(request: ServiceRequest, options: EnrolmentTopicOptions): Promise<void> {
  const topic = request.replyTo ?? `${enrolmentLevel}/${request.principal.id}/response`;
  try {
    const issued = await issuedFor(request, options);
    const payload = issued.ok ? issued.value : JSON.stringify(issued.error);
    const contentType = issued.ok ? 'application/pem-certificate-chain' : 'application/json';
    options.send(request, { topic, payload: Buffer.from(payload), contentType });
  } catch (error) {
    options.failed(error);
    const payload = Buffer.from(JSON.stringify({ code: 'unavailable', message: 'this should not have happened' }));
    options.send(request, { topic, payload, contentType: 'application/json' });
  }
}

async function issuedFor(request: ServiceRequest, options: EnrolmentTopicOptions): Promise<EnrolmentResult<string>> {
  const { principal, topic, payload, remoteAddress } = request;
  const allowed = options.allowed();
  if (allowed === 'off') return fault('not-enabled', 'enrolment over MQTT is switched off (enrolment.overMqtt)');
  // Whoever may publish for others may still only ask for itself.
  if (topic !== `${enrolmentLevel}/${principal.id}/request`) {
    return fault('foreign-name', `requests are published to ${enrolmentLevel}/<own id>/request`, { field: 'topic' });
  }
  const holder = await holderFor(principal, remoteAddress, allowed, options.holderOf);
  if (!holder.ok) return holder;
  const issued = await options.desk.again(holder.value, payload, remoteAddress);
  return issued.ok ? found(issued.value.certificate + issued.value.chain) : issued;
}

async function holderFor(
  { tenant, id, kind, access }: Principal,
  remoteAddress: string,
  allowed: 'certificate' | 'any',
  holderOf: HolderOf,
): Promise<EnrolmentResult<Holder>> {
  if (kind === 'anonymous' || access === undefined) return fault('not-allowed', 'only who has proved who it is can be given a certificate');
  const { certificate, method, listener } = access;
  if (method === 'certificate' && certificate !== undefined) {
    // It may have been revoked since it was shown.
    const holder = await holderOf({ certificate, listener, remoteAddress });
    if (!holder.ok) return holder;
    const isOwn = holder.value.tenant === tenant && holder.value.owner.id === id;
    return isOwn ? holder : fault('wrong-certificate', 'the certificate is somebody else’s');
  }
  if (allowed === 'certificate') return fault('not-allowed', 'only who is connected by a certificate can renew it (enrolment.overMqtt)');
  return found({ tenant, owner: { kind, id }, method });
}
