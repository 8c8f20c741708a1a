/** A mistake that somebody could make in infra/, and what the check says of it. */
export interface Mistake {
  readonly title: string;
  /** Under infra/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly finding: RegExp;
  /** Compiled in every run of the tests; the others in a long one. */
  readonly inShortRun?: true;
}
