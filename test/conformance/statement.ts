// One normative statement of a standard, as the checklists keep it.

export type Statement = {
  /** As in Appendix B of the standard, without brackets. */
  readonly id: string;
  /** Who has to obey. */
  readonly binds: 'server' | 'client' | 'both';
  /** In our own words; the standard's are the ones that count. */
  readonly summary: string;
};

export type Standard = {
  readonly name: string;
  readonly statements: readonly Statement[];
};

const parties = { S: 'server', C: 'client', B: 'both' } as const;

/**
 * Reads a checklist: one statement a line, `id party summary`, where the party is S (server), C (client) or B (both).
 * @throws Error on a line of another form, or an id that occurs twice
 */
export function readStatements(text: string): Statement[] {
  const seen = new Set<string>();
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const match = /^\s*(\d[\d.]*-\d+) ([SCB]) (.+)$/.exec(line);
      if (match === null) throw new Error(`not a statement: ${line}`);
      const id = `MQTT-${match[1]}`;
      if (seen.has(id)) throw new Error(`statement ${id} occurs twice`);
      seen.add(id);
      return { id, binds: parties[match[2] as keyof typeof parties], summary: match[3]! };
    });
}
