import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Suites that wait much stand first, so that none of them is left alone at the end: those that kill and stop processes,
 * then all others of the built app, then the rest. Within each, as vitest orders them: the largest file first.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      /\/test\/[^/]*(?:kills|stops|trouble)[^/]*$/.test(moduleId) ? 0 : /\/test\/[^/]+$/.test(moduleId) ? 1 : 2;
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
