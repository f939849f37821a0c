import ts from "typescript"

/** One change of a source text that leaves it a program. */
export type Mutant = {
  readonly kind: string
  readonly line: number
  readonly from: string
  readonly to: string
  readonly text: string
}

const swapped: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.AmpersandAmpersandToken, "||"],
  [ts.SyntaxKind.BarBarToken, "&&"],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "==="],
  [ts.SyntaxKind.LessThanToken, "<="],
  [ts.SyntaxKind.GreaterThanToken, ">="],
  [ts.SyntaxKind.LessThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanEqualsToken, ">"],
  [ts.SyntaxKind.PlusToken, "-"],
  [ts.SyntaxKind.MinusToken, "+"],
])

const renamed: ReadonlyMap<string, string> = new Map([
  ["some", "every"],
  ["every", "some"],
])

/**
 * Mutants of one file: conditions negated, && and || and comparisons swapped, statements dropped (a refusal, a throw, a call),
 * constants replaced, one side of ?? taken, some and every exchanged. Types and imports stay.
 */
export function mutantsOf(fileName: string, source: string): readonly Mutant[] {
  const file = ts.createSourceFile(fileName, source, ts.ScriptTarget.Latest, true)
  const found: Mutant[] = []
  const add = (node: ts.Node, kind: string, to: string): void => {
    const [start, end] = [node.getStart(file), node.getEnd()]
    const line = file.getLineAndCharacterOfPosition(start).line + 1
    const from = source.slice(start, end)
    found.push({ kind, line, from, to, text: source.slice(0, start) + to + source.slice(end) })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isTypeAliasDeclaration(node) || ts.isImportDeclaration(node))
      return
    mutate(node, add)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

function mutate(node: ts.Node, add: (node: ts.Node, kind: string, to: string) => void): void {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) {
    add(node.expression, "negated", `!(${node.expression.getText()})`)
    if (ts.isIfStatement(node) && node.elseStatement === undefined) add(node, "dropped", ";")
  } else if (ts.isConditionalExpression(node)) {
    add(node.condition, "negated", `!(${node.condition.getText()})`)
  } else if (ts.isExpressionStatement(node)) {
    add(node, "dropped", ";")
  } else if (ts.isThrowStatement(node)) {
    add(node, "dropped", ";")
  } else if (ts.isBinaryExpression(node)) {
    const operator = swapped.get(node.operatorToken.kind)
    if (operator !== undefined) add(node.operatorToken, "swapped", operator)
    if (node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
      add(node, "left of ??", node.left.getText())
      add(node, "right of ??", `(${node.right.getText()})`)
    }
  } else if (node.kind === ts.SyntaxKind.TrueKeyword) {
    add(node, "constant", "false")
  } else if (node.kind === ts.SyntaxKind.FalseKeyword) {
    add(node, "constant", "true")
  } else if (ts.isNumericLiteral(node)) {
    add(node, "constant", `(${node.text} + 1)`)
  } else if (ts.isPropertyAccessExpression(node)) {
    const other = renamed.get(node.name.text)
    if (other !== undefined) add(node.name, "renamed", other)
  }
}
