/** Members in order, which may be made when they are asked for, each time anew; an array is a list, too. */
export interface List<Member> extends Iterable<Member> {
  readonly length: number
  /** Counted from 0; undefined = there are not so many. */
  at(index: number): Member | undefined
}
