/**
 * Who is here at the moment, where many come and go. Not a Set or a Map: when one of those is full of gaps it
 * moves to a new table, and V8 leaves the old one pointing at the new one and at everybody who was in it. As
 * soon as one such table has grown old, all that ever come are kept until the next full collection.
 */
export interface Attendance<Member> {
  /** @returns how to leave; to be called once */
  enter(member: Member): () => void;
  /** In no order. */
  present(): readonly Member[];
}

interface Place<Member> {
  member: Member;
  index: number;
}

export function createAttendance<Member>(): Attendance<Member> {
  const places: Place<Member>[] = [];

  return {
    enter(member) {
      const place = { member, index: places.length };
      places.push(place);
      return () => {
        const last = places.pop();
        if (!last || last === place) return;
        places[place.index] = last;
        last.index = place.index;
      };
    },
    present: () => places.map((place) => place.member),
  };
}
