import { testManyLetters } from '../contract/many-letters.contract.ts'
import { lettersOn } from '../support/letter-office.ts'

testManyLetters('embedded', lettersOn)
