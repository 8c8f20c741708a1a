import { type Expression, expressionsIn, expressionsOf, type Program, programsOf } from '../read/program.ts';

const secretName = /secret|password|pwd|accountkey|acctkey|token|credential/i;

/** Names of parameters that speak of secrets and hold none: a number of days. */
const noSecrets: ReadonlySet<string> = new Set(['secretDays']);

const keyProperty =
  /^(connectionString|instrumentationKey|key\d?|keys|primaryKey|secondaryKey|primarySharedKey|sasToken)$/i;

/** Hosts that Azure has another name for in each of its clouds. */
const cloudHost =
  /core\.windows\.net|vault\.azure\.net|login\.microsoftonline\.com|management\.azure\.com|azurewebsites\.net/i;

/** Parameters say what they are for, and no secret goes in or out. */
export function* parametersAndOutputs(program: Program): Iterable<string> {
  for (const one of programsOf(program)) {
    for (const { name, secure, description, defaultValue } of one.parameters) {
      if (!description) yield `${one.name}: parameter ${name} has no description`;
      if (secretName.test(name) && !noSecrets.has(name) && !secure)
        yield `${one.name}: parameter ${name} is not secure`;
      if (secure && defaultValue) yield `${one.name}: secure parameter ${name} has a default`;
    }
    for (const [name, expression] of one.outputs) {
      if (secretName.test(name)) yield `${one.name}: output ${name} is named like a secret`;
      const secret = secretIn(expression, one);
      if (secret) yield `${one.name}: output ${name} tells ${secret}`;
    }
  }
}

function secretIn(expression: Expression, program: Program): string | undefined {
  for (const part of expressionsIn(expression)) {
    if (part.kind === 'property' && keyProperty.test(part.name)) return part.name;
    if (part.kind === 'name' && program.parameters.some(({ name, secure }) => secure && name === part.name)) {
      return part.name;
    }
  }
  return undefined;
}

/** No key is asked for (list…()), no host of one cloud is written down, and nothing is declared in vain. */
export function* cleanTemplates(program: Program): Iterable<string> {
  for (const one of programsOf(program)) {
    const names = new Set<string>();
    for (const expression of expressionsOf(one)) {
      if (expression.kind === 'name') names.add(expression.name);
      if (expression.kind === 'call' && /^list/i.test(expression.name)) {
        yield `${one.name}: ${expression.name}() asks for keys`;
      }
      if (expression.kind === 'literal' && typeof expression.value === 'string' && cloudHost.test(expression.value)) {
        yield `${one.name}: a host of one cloud: ${expression.value}`;
      }
    }
    for (const { name } of one.parameters) if (!names.has(name)) yield `${one.name}: parameter ${name} is not used`;
    for (const name of one.variables.keys()) if (!names.has(name)) yield `${one.name}: variable ${name} is not used`;
  }
}
