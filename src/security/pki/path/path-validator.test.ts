import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PathValidator } from './path-validator.ts';
import { notACertificate, pathCases } from './testing/path-cases.ts';
import { keyPair, nowMs, root } from './testing/path-maker.ts';

for (const { name, trusted, chain, fault } of pathCases()) {
  test(`${name}: ${fault ?? 'is right'}`, () => {
    const verdict = new PathValidator(trusted.map(({ der }) => der)).validate(
      chain.map(({ der }) => der),
      nowMs,
    );
    assert.equal(verdict.ok ? undefined : verdict.fault, fault);
  });
}

test('nothing, and what is no certificate', () => {
  const top = root();
  const validator = new PathValidator([top.der, notACertificate]);
  assert.deepEqual(validator.validate([], nowMs), { ok: false, fault: 'missing', certificate: undefined });
  assert.deepEqual(validator.validate([notACertificate], nowMs), { ok: false, fault: 'malformed', certificate: undefined });
  const broken = validator.validate([top.client().der, notACertificate], nowMs);
  assert.equal(!broken.ok && broken.fault, 'malformed');
  const longer = Buffer.concat([top.client().der, Buffer.of(0)]);
  assert.equal(validator.validate([longer], nowMs).ok, false);
});

test('those above are linked to the peer’s own as TLS does it, as far as the peer has sent them', () => {
  const top = root();
  const [upper, known] = [top.authority('upper'), top.authority('known')];
  const lower = upper.authority('lower');
  const validator = new PathValidator([top.der, known.der]);
  const verdict = validator.validate(
    [lower.client(), upper, lower, top].map(({ der }) => der),
    nowMs,
  );
  assert.ok(verdict.ok);
  const { certificate } = verdict;
  assert.deepEqual(certificate.issuerCertificate?.raw, lower.der);
  assert.deepEqual(certificate.issuerCertificate?.issuerCertificate?.raw, upper.der);
  assert.equal(certificate.issuerCertificate?.issuerCertificate?.issuerCertificate, undefined);
  const direct = validator.validate([known.client().der, known.der], nowMs);
  assert.equal(direct.ok && direct.certificate.issuerCertificate, undefined);
});

test('a peer cannot make the node check signatures without end', () => {
  // Twenty authorities with one name and no key ids: each fits, none has signed.
  const keys = keyPair();
  const trusted = Array.from({ length: 40 }, () => root('same', { withoutKeyIds: true }));
  const stranger = root('same', { keys, withoutKeyIds: true });
  const sent = Array.from({ length: 5 }, () => stranger.authority('same', { withoutKeyIds: true, keys }));
  const validator = new PathValidator(trusted.map(({ der }) => der));
  const verdict = validator.validate(
    [stranger.client('x', { withoutKeyIds: true }), ...sent].map(({ der }) => der),
    nowMs,
  );
  assert.equal(verdict.ok, false);
});

test('the names of those that are trusted, each once', () => {
  const [one, other] = [root('one'), root('other')];
  const again = root('one');
  const { names } = new PathValidator([one.der, other.der, again.der]);
  assert.deepEqual(names, [one.subject, other.subject]);
});
