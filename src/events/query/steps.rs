//! A long ascending list as the steps from one number to the next (floor 2, pure): a third of the text.
//!
//! What must stay true: what comes back is what was given. Called by serde, for [`super::Filter`].

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[expect(clippy::ref_option, reason = "serde hands it over so")]
pub fn serialize<S: Serializer>(list: &Option<Vec<i64>>, to: S) -> Result<S::Ok, S::Error> {
    let mut before = 0;
    let mut step = |number: &i64| number.wrapping_sub(std::mem::replace(&mut before, *number));
    let steps: Option<Vec<i64>> = list.as_ref().map(|list| list.iter().map(&mut step).collect());
    steps.serialize(to)
}

pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Vec<i64>>, D::Error> {
    let steps: Option<Vec<i64>> = Option::deserialize(from)?;
    let mut number = 0_i64;
    let mut next = |step: i64| {
        number = number.wrapping_add(step);
        number
    };
    Ok(steps.map(|steps| steps.into_iter().map(&mut next).collect()))
}

#[cfg(test)]
mod tests {
    use crate::events::query::Filter;

    #[test]
    fn a_list_comes_back_as_it_was() {
        for only in [None, Some(vec![]), Some(vec![1, 2, 900, i64::MAX]), Some(vec![-5, 7])] {
            let filter = Filter {
                only,
                ..Filter::default()
            };
            let text = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter, "{text}");
        }
    }
}
