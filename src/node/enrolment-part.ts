import { HttpProtocol } from '../net/http-protocol.ts';
import { holderIn } from '../security/pki/enrolment/certificate-holder.ts';
import { EnrolmentDesk } from '../security/pki/enrolment/enrolment-desk.ts';
import { EnrolmentTokens } from '../security/pki/enrolment/enrolment-tokens.ts';
import { EstDesk } from '../security/pki/enrolment/est-desk.ts';
import { Est } from '../security/pki/enrolment/est.ts';
import type { Config } from '../config.ts';
import { changeInPlace } from './change-in-place.ts';
import { enrolmentTopic } from './enrolment-topic.ts';
import { enrolmentLimits, estHttpLimits, estOptions } from './options.ts';
import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** How devices come to certificates: the desk, and the two ways to it, EST behind listeners of its kind and `$enrol/…` over MQTT. */
export function enrolmentPart(rooms: Rooms): Part {
  let { config } = rooms;
  const limits = enrolmentLimits(config);
  const est = estOptions(config);
  const http = estHttpLimits(config);
  return {
    name: 'enrolment',
    start() {
      const { registry, lookUps, clock, random, audit, pki, security, broker, loop, log } = rooms;
      const tokens = new EnrolmentTokens({ registry, clock, random, audit });
      const desk = new EnrolmentDesk({ tokens, clock, audit, pki }, limits);
      const holderOf = holderIn(security, lookUps);
      const service = new Est({ desk, pki, holderOf, random }, est);
      rooms.enrolment = desk;
      rooms.estDoor = new EstDesk({ desk, pki, holderOf }, est);
      rooms.est = new HttpProtocol({
        name: 'est',
        clock,
        log,
        limits: http,
        highWaterBytes: config.net.outputHighWaterBytes,
        answer({ method, url, headers, body, facts: { listener, remoteAddress, peerCertificate: certificate } }) {
          const { authorization, 'content-type': contentType } = headers;
          return service.answer({ method, url, contentType, authorization, body, listener, remoteAddress, certificate });
        },
      });
      broker.services.register(
        enrolmentTopic({
          desk,
          holderOf,
          allowed: () => config.enrolment.overMqtt,
          limits: () => ({ maxInFlight: limits.maxInFlight, maxPayloadBytes: http.maxBodyBytes }),
          send({ principal, correlation }, { topic, payload, contentType }) {
            // Comes from outside the event loop's turns.
            loop.enterTurn();
            broker.services.answer(principal, topic, payload, { contentType, ...(correlation === undefined ? {} : { correlation }) });
          },
          failed: (error) => log.error('enrolment.topic.failed', { error: (error as Error).stack }),
        }),
      );
    },
    stop() {},
    reload(next: Config) {
      config = next;
      changeInPlace(limits, enrolmentLimits(next));
      changeInPlace(est, estOptions(next));
      changeInPlace(http, estHttpLimits(next));
    },
  };
}
