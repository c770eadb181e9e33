import ts from "typescript";

/** One thing that a source file reaches for outside itself. */
export interface Reach {
  readonly kind: "import" | "global";
  /** A module specifier as written, or the name of a global. */
  readonly name: string;
  readonly line: number;
  /** Gone after compiling: such an import costs nothing at run time, and still fixes a direction. */
  readonly typeOnly: boolean;
}

/** Globals that only Node-like runtimes have; a core for any runtime may only ask for them through `globalThis`. */
const NODE_GLOBALS = new Set(["process", "Buffer", "setImmediate", "clearImmediate", "require", "global"]);

/** Imports of every form (static, re-export, dynamic, in a type) and uses of Node's globals in one source text. */
export function reachesOf(path: string, text: string): Reach[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const reaches: Reach[] = [];
  const add = (kind: Reach["kind"], node: ts.Node, name: string, typeOnly: boolean): void => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    reaches.push({ kind, name, line, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    const found = importOf(node);
    if (found !== undefined) add("import", node, found.name, found.typeOnly);
    else if (ts.isIdentifier(node) && NODE_GLOBALS.has(node.text) && isUnaskedUse(node)) {
      add("global", node, globalName(node), false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return reaches;
}

function importOf(node: ts.Node): { name: string; typeOnly: boolean } | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    return {
      name: node.moduleSpecifier.text,
      typeOnly: node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword,
    };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
    return { name: node.moduleSpecifier.text, typeOnly: node.isTypeOnly };
  }
  if (
    ts.isImportTypeNode(node) &&
    ts.isLiteralTypeNode(node.argument) &&
    ts.isStringLiteral(node.argument.literal)
  ) {
    return { name: node.argument.literal.text, typeOnly: true };
  }
  const [first] = ts.isCallExpression(node) ? node.arguments : [];
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && first) {
    // A computed specifier could name anything, so it is reported as what it is.
    return { name: ts.isStringLiteralLike(first) ? first.text : first.getText(), typeOnly: false };
  }
  return undefined;
}

/** Whether the identifier reads a global unasked, and is no member's, parameter's or variable's name. */
function isUnaskedUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) return false;
  if (ts.isTypeNode(parent) || ts.isTypeElement(parent) || ts.isQualifiedName(parent)) return false;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent) || ts.isTypeOfExpression(parent))
    return false;
  if (ts.isBindingElement(parent) && parent.propertyName === node) return false;
  return (parent as ts.NamedDeclaration).name !== node && !isGuarded(node, node.text);
}

/** Whether the node stands under a condition that asks `typeof <name>` first: such code runs anywhere. */
function isGuarded(node: ts.Node, name: string): boolean {
  for (let at = node; at.parent !== undefined; at = at.parent) {
    const condition = ts.isConditionalExpression(at.parent)
      ? at.parent.condition
      : ts.isIfStatement(at.parent)
        ? at.parent.expression
        : undefined;
    if (condition !== undefined && condition !== at && condition.getText().includes(`typeof ${name}`))
      return true;
  }
  return false;
}

/** `process.env` rather than `process`, since the rules differ by member. */
function globalName(node: ts.Identifier): string {
  const { parent } = node;
  return ts.isPropertyAccessExpression(parent) ? `${node.text}.${parent.name.text}` : node.text;
}
