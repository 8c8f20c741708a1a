import { expect, it } from 'vitest';
import { undocumented } from './doc-comments.ts';

it('names each exported function and class that has no doc comment', () => {
  const code = [
    '/** Said. */',
    'export function said() {}',
    'export async function* silent() {}',
    '',
    'export class Silent {}',
    '/** Said. */',
    '// biome-ignore lint/style/useNaming: it is called so.',
    'export const alsoSaid = () => 1;',
    'export const arrow = async (a: string) => a;',
    'export const number = 3;',
    'export interface Shape {}',
    'function own() {}',
  ];
  expect(undocumented(code.join('\n'))).toEqual(['silent', 'Silent', 'arrow']);
});
