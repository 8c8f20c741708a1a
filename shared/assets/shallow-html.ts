import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse, serialize } from 'parse5';

type Node = DefaultTreeAdapterTypes.ChildNode;
type Parent = DefaultTreeAdapterTypes.ParentNode;

/** Elements inside one another: more than any mail program writes, and few enough for what is recursive. */
const maxDepth = 200;

/**
 * HTML written out again as a browser understands it (the parsing rules of WHATWG HTML): each element closed, and
 * nothing left that two parsers could read differently. Elements in `dropped` go with all that is in them. What is
 * nested deeper than 200 elements stays as its text.
 */
export function shallowHtml(markup: string, dropped: ReadonlySet<string>): string {
  const document = parse(markup);
  const open: { readonly parent: Parent; readonly depth: number }[] = [{ parent: document, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { parent, depth } = next;
    parent.childNodes = parent.childNodes.filter((child) => !('tagName' in child && dropped.has(child.tagName)));
    if (depth >= maxDepth) {
      parent.childNodes = textsIn(parent, dropped);
      continue;
    }
    for (const child of parent.childNodes) {
      if ('childNodes' in child) open.push({ parent: child, depth: depth + 1 });
    }
  }
  return serialize(document);
}

/** The texts in a tree, in their order. */
function textsIn(tree: Parent, dropped: ReadonlySet<string>): Node[] {
  const texts: Node[] = [];
  const open: Node[] = [...tree.childNodes].reverse();
  for (let next = open.pop(); next; next = open.pop()) {
    if (defaultTreeAdapter.isTextNode(next)) texts.push(next);
    else if ('childNodes' in next && !dropped.has(next.tagName))
      for (const child of next.childNodes.toReversed()) open.push(child);
  }
  return texts;
}
